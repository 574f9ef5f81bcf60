from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from spendstream_sdk import Limits, Meter, Stats
from spendstream_sdk.records import Event
from spendstream_sdk.transport import Delivered

from services.contracts.admission import admit
from services.contracts.json_event import decode_event


class Kept:
    """A transport that keeps what it is given, and holds it against the doors' own rules."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def send(self, events: Sequence[Event]) -> Delivered:
        refused = [reason for event in events if (reason := admit(decode_event(event))) is not None]
        self.events += events
        return Delivered(len(events) - len(refused), tuple(refused))

    def close(self) -> None:
        pass

    abandon = close


@dataclass
class Recording:
    """A meter in memory."""

    kept: Kept = field(default_factory=Kept)

    def __post_init__(self) -> None:
        self.meter = Meter.__new__(Meter)
        self.meter._open(self.kept, "acme", None, Limits(linger_seconds=0))

    def event(self) -> Event:
        """The one that was recorded and accepted."""
        assert self.meter.flush(5)
        assert self.meter.stats() == Stats(sent=1)
        (event,) = self.kept.events
        return event

    def assert_rejected(self) -> None:
        """What was recorded is nowhere but in the counter of the rejected."""
        assert self.meter.flush(5)
        assert (self.meter.stats(), self.kept.events) == (Stats(rejected=1), [])


@pytest.fixture
def recording() -> Iterator[Recording]:
    made = Recording()
    yield made
    made.meter.close(0)
