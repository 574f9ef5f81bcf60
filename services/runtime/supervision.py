"""What a supervisor decides: when to start a crashed child again, and in which order to stop. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

BACKOFF_FIRST_SECONDS = 0.5
BACKOFF_SECONDS_MAX = 30.0
# A child that ran this long has recovered: its next crash is again a first one.
STABLE_SECONDS = 60.0


class Stage(IntEnum):
    """Children stop in this order: first what sends, then what takes in, last what everything needs."""

    DEMO = 0
    DOORS = 1
    PROCESSOR = 2
    ALERTING = 3
    QUERY = 4
    BROKER = 5
    DATABASE = 6


@dataclass(frozen=True, slots=True)
class CrashRecord:
    """How often a child has crashed in a row."""

    crashes_in_a_row: int = 0

    def after_crash(self, ran_seconds: float) -> CrashRecord:
        return CrashRecord(1 if ran_seconds >= STABLE_SECONDS else self.crashes_in_a_row + 1)

    @property
    def restart_after_seconds(self) -> float:
        """Doubles with each crash in a row, up to a limit."""
        doublings = min(self.crashes_in_a_row - 1, 16)
        return min(BACKOFF_FIRST_SECONDS * 2.0 ** max(doublings, 0), BACKOFF_SECONDS_MAX)


def stop_order(stages: Iterable[tuple[str, Stage]]) -> list[list[str]]:
    """Names of children grouped by stage; a group is asked to stop at once, the next when it is gone."""
    groups: dict[Stage, list[str]] = {}
    for name, stage in stages:
        groups.setdefault(stage, []).append(name)
    return [groups[stage] for stage in sorted(groups)]
