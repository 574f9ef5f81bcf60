"""When an hour is a spike: a pure decision over committed hour totals. Nothing here reads a clock or a database.

Rule `hour_over_usual`: an hour against its usual hour (`spike_baselines`), the tested hour left out. Both must hold: it
costs `times_usual` times as much, and it lies `spreads_min` of the series' own spreads above it, so that a series that
always jumps about has to jump further. `spike_daily`, `spike_fast` and `spike_slow_burn` hold the other rules.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

Dimension = Literal["feature", "agent_id", "model", "tenant_id"]
RuleName = Literal["hour_over_usual", "minutes_over_usual", "day_over_week", "slow_burn"]
HOUR = timedelta(hours=1)
# How far ahead of the stream an event may be (the acceptance window's other end).
AHEAD = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class SeriesHour:
    """A series in one hour: a feature, an agent, a model, or with '' as `value` the tenant as a whole."""

    tenant_no: int
    dimension: Dimension
    value: str
    hour: datetime


@dataclass(frozen=True, slots=True)
class Measures:
    """What a series used: `cost_pico_usd` billed and adjusted; `requests` counts first attempts."""

    cost_pico_usd: int = 0
    calls: int = 0
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: Measures) -> Measures:
        return Measures(
            self.cost_pico_usd + other.cost_pico_usd,
            self.calls + other.calls,
            self.requests + other.requests,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )


@dataclass(frozen=True, slots=True)
class HourTotals:
    """A series' totals in the hour that starts at `hour` (UTC, aligned)."""

    hour: datetime
    measures: Measures


@dataclass(frozen=True, slots=True)
class Excess:
    """A window that is a spike, and what it was held against.

    `observed.hour` is the start of the window it counts for, `window` its length; `measured` is what was looked at, the
    last seconds of an hour or three days of a week. `basis` are the hours of the usual windows, of which there were
    `usual_windows`; None where each hour is one.
    """

    observed: HourTotals
    usual_pico_usd: int
    basis: tuple[datetime, ...]
    rule: RuleName = "hour_over_usual"
    window: timedelta = HOUR
    windows: float | None = None
    # What was measured: from here (None: the window's start), so long.
    start: datetime | None = None
    measured: timedelta = HOUR
    # Of seconds that have cost more than a whole usual hour: that hour's cost. Held against it they say more.
    usual_hour_pico_usd: int | None = None

    @property
    def ratio(self) -> float:
        """Observed over usual; infinite where the usual window costs nothing."""
        cost = self.observed.measures.cost_pico_usd
        return cost / self.said_usual_pico_usd if self.said_usual_pico_usd > 0 else float("inf")

    @property
    def said_usual_pico_usd(self) -> int:
        """What people are told is usual."""
        return self.usual_pico_usd if self.usual_hour_pico_usd is None else self.usual_hour_pico_usd

    @property
    def measured_from(self) -> datetime:
        """Where what was measured starts."""
        return self.start if self.start is not None else self.observed.hour

    @property
    def usual_windows(self) -> float:
        """How many times what was measured fits into the basis."""
        return len(self.basis) * (HOUR / self.measured) if self.windows is None else self.windows


def hour_of(moment: datetime) -> datetime:
    """The start of the UTC hour a moment lies in."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def touched_series(keys: Iterable[tuple[int, str, datetime]]) -> set[SeriesHour]:
    """Each feature and each tenant a flush touched, from its minute rollup keys `(tenant_no, feature, bucket)`."""
    hours = {(tenant_no, feature, hour_of(bucket)) for tenant_no, feature, bucket in keys}
    features = {SeriesHour(tenant_no, "feature", feature, hour) for tenant_no, feature, hour in hours}
    return features | {SeriesHour(tenant_no, "tenant_id", "", hour) for tenant_no, _feature, hour in hours}


def is_open(hour: datetime, now: datetime) -> bool:
    """Whether an hour may still raise an alarm at stream time `now`: this one, or the one before it.

    What comes later than that belongs to its period in every total, but is no news.
    """
    return hour_of(now) - HOUR <= hour <= now + AHEAD
