"""Sends many events through the door and waits until the system has counted them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import islice
from typing import Any

from services.cli.client import Answer, Client, Ledger, Totals, Unreachable
from services.cli.events_csv import Event

BATCH_EVENTS_MAX = 1_000
IN_FLIGHT_MAX = 4
_POLL_SECONDS = 0.25
# Nothing moved for this long although events are missing: something is wrong, and waiting on won't mend it.
_STALL_SECONDS = 60.0

Advance = Callable[[int], None]


@dataclass(slots=True)
class Sent:
    """What the door said to all batches together."""

    accepted: int = 0
    rejected: list[dict[str, Any]] = field(default_factory=list)


def send_all(client: Client, events: Iterable[Event], advance: Advance) -> Sent:
    """Sends all events, a few requests at a time; `advance` hears of each batch that was answered.

    Raises Unreachable; what was accepted until then stays so, and sending all again counts it once.
    """
    sent, pending = Sent(), set[Future[Answer]]()

    def settle(done: set[Future[Answer]]) -> None:
        for future in done:
            answer = future.result()
            sent.accepted += answer.accepted
            sent.rejected += answer.rejected
            advance(answer.accepted + len(answer.rejected))

    with ThreadPoolExecutor(IN_FLIGHT_MAX, thread_name_prefix="send") as pool:
        for batch in batches(events, BATCH_EVENTS_MAX):
            pending.add(pool.submit(client.send, batch))
            if len(pending) >= IN_FLIGHT_MAX:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                settle(done)
        settle(wait(pending).done)
    return sent


def batches(events: Iterable[Event], size: int) -> Iterator[list[Event]]:
    """Splits into lists of at most `size`, in order."""
    iterator = iter(events)
    while batch := list(islice(iterator, size)):
        yield batch


@dataclass(frozen=True, slots=True)
class Reading:
    """What the system says at one moment: a tenant's totals and the counters of the ledger."""

    totals: Totals
    ledger: Ledger


@dataclass(frozen=True, slots=True)
class Span:
    """The tenant and days (UTC, both included) an answer is about."""

    tenant_id: str
    first: date
    last: date

    def read(self, client: Client) -> Reading:
        return Reading(client.totals(self.tenant_id, self.first, self.last), client.ledger())


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the events between two readings. Only the tenant's `counted` is free of what others sent."""

    counted: int
    duplicate: int
    dead_lettered: int
    quarantined: int

    @classmethod
    def between(cls, before: Reading, after: Reading) -> Outcome:
        return cls(
            counted=after.totals.calls - before.totals.calls,
            duplicate=after.ledger.duplicate - before.ledger.duplicate,
            dead_lettered=after.ledger.dead_lettered - before.ledger.dead_lettered,
            quarantined=after.ledger.quarantined - before.ledger.quarantined,
        )

    @property
    def settled(self) -> int:
        return self.counted + self.duplicate + self.dead_lettered + self.quarantined


def wait_counted(client: Client, span: Span, before: Reading, accepted: int, heard: Advance) -> Reading:
    """Waits until `accepted` events sent since `before` are counted or otherwise accounted for; the reading then.

    The stream must also be read past this moment: somebody else's duplicates alone could make up the number.
    `heard` is told how many are settled so far. Raises Unreachable when nothing moves any more.
    """
    sent_at = datetime.now(UTC)
    best, moved_at, last_through = 0, time.monotonic(), before.totals.data_through
    while True:
        totals = client.totals(span.tenant_id, span.first, span.last)
        counted, through = totals.calls - before.totals.calls, totals.data_through
        settled = counted
        if counted >= accepted or through is None or through >= sent_at:
            # Only now the ledger: the audit is a dear question.
            after = Reading(totals, client.ledger())
            settled = Outcome.between(before, after).settled
            if settled >= accepted and (through is None or through >= sent_at):
                return after
        if settled > best or through != last_through:
            best, last_through, moved_at = max(best, settled), through, time.monotonic()
            heard(min(best, accepted))
        if time.monotonic() - moved_at > _STALL_SECONDS:
            raise Unreachable(
                f"{settled:,} of {accepted:,} events are accounted for, and no more for {_STALL_SECONDS:.0f} s; "
                "they are safe in Kafka, see the processor's log"
            )
        time.sleep(_POLL_SECONDS)
