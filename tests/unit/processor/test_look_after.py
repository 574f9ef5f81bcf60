"""A stream that stands still ends the process, also when the group has given this worker nothing to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import pytest

from services.contracts.errors import Crash
from services.processor.look_after import LookAfter
from services.processor.progress import Progress
from services.processor.stuck import Position, Watchdog


class Seen:
    """What a worker sees of its own partitions and of all."""

    def __init__(self, own: Mapping[int, Position], everywhere: Mapping[int, Position]) -> None:
        self.own = own
        self.all = everywhere

    def report(self) -> Mapping[int, Position]:
        return self.own

    def everywhere(self) -> Mapping[int, Position]:
        return self.all


def look_after(seen: Seen, end_offset: int = 0) -> LookAfter:
    clock = iter(range(1_000))
    return LookAfter(
        cast("Progress", seen), Watchdog(3.0), lambda _, offset: max(offset, end_offset), lambda: float(next(clock))
    )


def test_a_worker_without_partitions_ends_when_nobody_counts() -> None:
    watching = look_after(Seen({}, {0: Position(5, 9)}))
    for _ in range(4):
        watching.report()
    with pytest.raises(Crash, match="partition 0 stands still at 5"):
        watching.report()


def test_a_spare_worker_stays_while_another_one_counts() -> None:
    seen = Seen({}, {})
    watching = look_after(seen)
    for offset in range(50):
        seen.all = {0: Position(offset, 100), 1: Position(7, 7)}
        watching.report()


def test_offsets_without_messages_at_the_end_are_no_standstill() -> None:
    watching = look_after(Seen({0: Position(5, 6)}, {}), end_offset=6)
    for _ in range(20):
        watching.report()
