"""Notices a worker that should move and does not. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# Between two looks; after a longer pause (the database or the broker was away) the clock starts again.
_LOOK_SECONDS_MAX = 10.0


@dataclass(frozen=True, slots=True)
class Position:
    """How far a partition is counted and where its log ends."""

    next_offset: int
    end_offset: int


@dataclass(slots=True)
class Watchdog:
    """Measures for how long partitions have had something to read without anything of it being counted."""

    limit_seconds: float
    _since: dict[int, tuple[int, float]] = field(default_factory=dict)
    _looked_at: float = float("-inf")

    def look(self, now: float, positions: Mapping[int, Position]) -> dict[int, float]:
        """Seconds without progress of each partition at `now` (monotonic seconds); 0 where nothing waits."""
        paused = now - self._looked_at > _LOOK_SECONDS_MAX
        self._looked_at = now
        before, self._since = ({} if paused else self._since), {}
        for partition, position in positions.items():
            offset, since = before.get(partition, (position.next_offset, now))
            waits = position.end_offset > position.next_offset and offset == position.next_offset
            self._since[partition] = (position.next_offset, since if waits else now)
        return {partition: now - since for partition, (_, since) in self._since.items()}

    def stuck(self, seconds: Mapping[int, float]) -> list[int]:
        """The partitions that stand still for too long."""
        return sorted(partition for partition, still in seconds.items() if still > self.limit_seconds)
