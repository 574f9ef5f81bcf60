"""When an hour is a spike: a pure decision over committed hour totals. Nothing here reads a clock or a database.

Rule `hour_over_usual`: an hour against its usual hour, taken from the hours of the 7 days before it, the tested hour
left out. The usual hour is the mean of the hours that had calls, or, where it is higher and at least three days had
calls at this hour of the day, the median of those: what happens every noon is usual at noon. Hours without calls are
left out, so that a series that runs once a day is measured against its runs, not against its silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median_low
from typing import Literal

from pricing.money import PICO_PER_USD

Dimension = Literal["feature", "tenant_id"]
HOUR = timedelta(hours=1)
# How far ahead of the stream an event may be (the acceptance window's other end).
_AHEAD = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class SpikeRule:
    """The thresholds, all of them."""

    name: str = "hour_over_usual"
    times_usual: int = 3
    # An hour that costs less is nobody's problem, however unusual.
    floor_pico_usd: int = PICO_PER_USD
    calls_min: int = 20
    history_hours: int = 7 * 24
    # Hours with calls that must lie in the history before anything counts as usual.
    warm_up_hours: int = 24
    same_hour_days_min: int = 3


HOUR_OVER_USUAL = SpikeRule()


@dataclass(frozen=True, slots=True)
class SeriesHour:
    """A series in one hour that a flush has touched. `value` is the feature; '' for the tenant as a whole."""

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
    """An hour that is a spike, and the usual hour it was held against, made of the hours in `basis`."""

    observed: HourTotals
    usual_pico_usd: int
    basis: tuple[HourTotals, ...]

    @property
    def ratio(self) -> float:
        """Observed over usual; infinite where the usual hour costs nothing."""
        cost = self.observed.measures.cost_pico_usd
        return cost / self.usual_pico_usd if self.usual_pico_usd > 0 else float("inf")


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
    return hour_of(now) - HOUR <= hour <= now + _AHEAD


def evaluate(observed: HourTotals, history: Sequence[HourTotals], rule: SpikeRule = HOUR_OVER_USUAL) -> Excess | None:
    """The excess of `observed` over its usual hour, or None. Hours outside the rule's history are ignored."""
    if observed.measures.calls < rule.calls_min or observed.measures.cost_pico_usd < rule.floor_pico_usd:
        return None
    first = observed.hour - rule.history_hours * HOUR
    active = tuple(past for past in history if first <= past.hour < observed.hour and past.measures.calls > 0)
    if len(active) < max(rule.warm_up_hours, 1):
        return None
    usual_pico_usd, basis = usual_hour(observed.hour, active, rule)
    if observed.measures.cost_pico_usd < rule.times_usual * usual_pico_usd:
        return None
    return Excess(observed, usual_pico_usd, basis)


def usual_hour(
    hour: datetime, active: tuple[HourTotals, ...], rule: SpikeRule = HOUR_OVER_USUAL
) -> tuple[int, tuple[HourTotals, ...]]:
    """What the hour usually costs in pico-USD, and the hours that says so. `active` must not be empty."""
    mean = sum(past.measures.cost_pico_usd for past in active) // len(active)
    same = tuple(past for past in active if past.hour.hour == hour.hour)
    if len(same) < rule.same_hour_days_min:
        return mean, active
    daily = median_low(past.measures.cost_pico_usd for past in same)
    return (daily, same) if daily > mean else (mean, active)
