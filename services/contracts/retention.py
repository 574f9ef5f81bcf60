"""How long each relation keeps its rows, and from what age on TimescaleDB compresses them. Declared once.

Finer levels go first: what is dropped from one is summed in the next. A level is complete from its *floor* on (table
`retention_floor`); below the floor its rows may be gone, so nothing may be built from it there or read from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from services.contracts.limits import ACCEPT_PAST_SECONDS
from services.contracts.rollups import FAMILIES, Level, Rollup

# Events may come for so many days back; rows they are added to stay open and uncompressed at least as long.
ACCEPT_PAST_DAYS = -(-ACCEPT_PAST_SECONDS // 86_400)
_MARGIN_DAYS = 2
FOREVER = None


@dataclass(frozen=True, slots=True)
class Kept:
    """One relation: rows whose `time_column` is older than `days` may go; None keeps them forever.

    `name` is what readers know and what `retention_floor` says. `compress_after_days` None: not a hypertable.
    """

    name: str
    time_column: str
    days: int | None
    compress_after_days: int | None = None
    rollup: Rollup | None = None
    level: Level | None = None

    @property
    def base(self) -> bool:
        """Whether the processor writes it, so that it is a table of its own in both stores."""
        return self.rollup is None or self.level not in self.rollup.built_levels

    def table(self, *, timescale: bool) -> str:
        """What the rows are dropped from: a table, or on TimescaleDB a continuous aggregate."""
        if self.rollup is None:
            return self.name
        if self.base:
            return self.rollup.base_table
        return self.name if timescale else f"{self.name}_mat"


@dataclass(frozen=True, slots=True)
class Retention:
    """Days per level; None is forever.

    Raises ValueError when a setting would lose something: less than the acceptance window, or a coarse level that is
    kept shorter than the finer one it is built from.
    """

    raw_days: int | None = 120
    identity_days: int = ACCEPT_PAST_DAYS + 10
    minute_days: int | None = 120
    quarter_days: int | None = 400
    hour_days: int | None = 1_100
    day_days: int | None = FOREVER
    run_days: int | None = 400
    # Raw rows are only ever added to: a late one costs a compressed chunk no rewrite.
    compress_raw_after_days: int = 7

    def __post_init__(self) -> None:
        wrong = [*self._too_short(), *self._out_of_order()]
        if wrong:
            raise ValueError("; ".join(wrong))

    def _too_short(self) -> list[str]:
        least = ACCEPT_PAST_DAYS + _MARGIN_DAYS
        names = ("raw_days", "identity_days", "minute_days", "quarter_days", "hour_days", "day_days", "run_days")
        return [
            f"{name} is {days}, which is less than the acceptance window and a margin ({least})"
            for name in names
            if (days := getattr(self, name)) is not None and days < least
        ]

    def _out_of_order(self) -> list[str]:
        levels = [("minute_days", self.minute_days), ("quarter_days", self.quarter_days)]
        levels += [("hour_days", self.hour_days), ("day_days", self.day_days)]
        return [
            f"{coarse} ({_said(longer)}) is less than {fine} ({_said(shorter)})"
            for (fine, shorter), (coarse, longer) in pairwise(levels)
            if longer is not None and (shorter is None or longer < shorter)
        ]

    def of_level(self, level: Level) -> int | None:
        """Days a level of every rollup is kept."""
        by_level: dict[Level, int | None] = {
            "minute": self.minute_days, "15m": self.quarter_days, "hour": self.hour_days, "day": self.day_days
        }  # fmt: skip
        return by_level[level]

    def relations(self) -> tuple[Kept, ...]:
        """Everything that has an age, finest first."""
        after = ACCEPT_PAST_DAYS + _MARGIN_DAYS
        levels = [
            Kept(rollup.view(level), "bucket", self.of_level(level), after, rollup, level)
            for rollup in FAMILIES
            for level in rollup.levels
        ]
        return (
            Kept("usage_event", "occurred_at", self.raw_days, self.compress_raw_after_days),
            # An adjustment is read together with its raw row.
            Kept("cost_adjustment", "occurred_at", self.raw_days),
            Kept("unpriced_event", "occurred_at", self.raw_days),
            Kept("event_identity", "occurred_at", self.identity_days),
            Kept("run_base", "started_at", self.run_days),
            *levels,
        )


def _said(days: int | None) -> str:
    return "forever" if days is None else str(days)
