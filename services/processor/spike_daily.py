"""Rule `day_over_week`: today, as far as it has come, against the average of the 7 days before it. Pure.

The average is the mean of the days with calls, or the median of the same weekday in the last 4 weeks, from 3 of them
on, where that is more: a report that runs every Monday is usual on Mondays. A day must lie `times_usual` times above it
and `spreads_min` spreads: the spread is how far the days before lay from the 7 before them, in log space and robust.
Days are UTC's.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from statistics import median, median_low

from pricing.money import PICO_PER_USD
from services.processor.spike_baselines import DAY, HISTORY, WEEK
from services.processor.spikes import Excess, HourTotals, Measures

_MAD_TO_SIGMA = 1.4826
_SAME_WEEKDAYS_MIN = 3


@dataclass(frozen=True, slots=True)
class DayRule:
    """The thresholds, all of them."""

    times_usual: int = 2
    spreads_min: float = 4.0
    floor_pico_usd: int = 2 * PICO_PER_USD
    calls_min: int = 50
    # Of the 7 days before, so many must have had calls.
    warm_up_days: int = 5
    # No series is as steady as a few equal days look.
    spread_min: float = 0.1


DAY_OVER_WEEK = DayRule()
Days = Mapping[datetime, HourTotals]


def day_of(moment: datetime) -> datetime:
    """The start of the UTC day."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def by_day(hours: Iterable[HourTotals]) -> dict[datetime, HourTotals]:
    """Totals of the days that have calls."""
    days: dict[datetime, Measures] = defaultdict(Measures)
    for totals in hours:
        if totals.measures.calls > 0:
            days[day_of(totals.hour)] += totals.measures
    return {day: HourTotals(day, measures) for day, measures in days.items()}


def day_excess(today: HourTotals, days: Days, rule: DayRule = DAY_OVER_WEEK) -> Excess | None:
    """The excess of `today`, whose `hour` is the start of its day; what `days` has from then on is ignored."""
    if today.measures.calls < rule.calls_min or today.measures.cost_pico_usd < rule.floor_pico_usd:
        return None
    day = today.hour
    past = {at: totals for at, totals in days.items() if day - HISTORY <= at < day}
    week = _week_before(past, day)
    if len(week) < rule.warm_up_days:
        return None
    usual = _mean(week)
    same = [past[at] for number in (1, 2, 3, 4) if (at := day - number * WEEK) in past]
    if len(same) >= _SAME_WEEKDAYS_MIN:
        usual = max(usual, median_low(totals.measures.cost_pico_usd for totals in same))
    cost = today.measures.cost_pico_usd
    if cost < rule.times_usual * usual:
        return None
    if math.log(cost / max(usual, 1)) < rule.spreads_min * max(_spread(past, rule), rule.spread_min):
        return None
    return Excess(today, usual, tuple(totals.hour for totals in week), "day_over_week", DAY, DAY, measured=DAY)


def _week_before(days: Days, day: datetime) -> list[HourTotals]:
    return [days[at] for number in range(7, 0, -1) if (at := day - number * DAY) in days]


def _mean(days: list[HourTotals]) -> int:
    return sum(totals.measures.cost_pico_usd for totals in days) // len(days)


def _spread(past: Days, rule: DayRule) -> float:
    logs = []
    for day, totals in past.items():
        week = _week_before(past, day)
        if len(week) >= rule.warm_up_days:
            logs.append(math.log(max(totals.measures.cost_pico_usd, 1) / max(_mean(week), 1)))
    if len(logs) < rule.warm_up_days:
        # Too young for that: by the days themselves.
        logs = [math.log(max(totals.measures.cost_pico_usd, 1)) for totals in past.values()]
    center = median(logs)
    return _MAD_TO_SIGMA * median(abs(value - center) for value in logs)
