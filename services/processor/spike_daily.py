"""Rule `day_over_week`: today, as far as it has come, against the average of the 7 days before it. Pure.

The average is the mean of the days with calls, or the median of the same weekday in the last 4 weeks, from 3 of them
on, where that is more: a report that runs every Monday is usual on Mondays. A day must lie `times_usual` times above it
and `spreads_min` spreads: the spread is how far the days before lay from the 7 before them, in log space and robust.
Days are the tenant's local ones, of 23 to 25 hours.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from statistics import median, median_low

from pricing.money import PICO_PER_USD
from services.processor.spike_baselines import HISTORY
from services.processor.spike_calendar import DAY, UTC_DAYS, WEEK, Calendar
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
# What a series used on its local days.
Days = Mapping[date, Measures]


def by_day(rows: Iterable[HourTotals], calendar: Calendar = UTC_DAYS) -> dict[date, Measures]:
    """Totals of the days that have calls. `rows` are hours; an hour that two days share comes in quarters."""
    days: dict[date, Measures] = defaultdict(Measures)
    for totals in rows:
        if totals.measures.calls > 0:
            days[calendar.day_of(totals.hour)] += totals.measures
    return dict(days)


@dataclass(frozen=True, slots=True)
class UsualDay:
    """What a day usually costs; known before the day begins. `basis` are the days of the week before it."""

    cost_pico_usd: int
    spread: float
    basis: tuple[date, ...]


def usual_day(day: date, days: Days, rule: DayRule = DAY_OVER_WEEK) -> UsualDay | None:
    """None within the warm-up; what `days` has from `day` on is ignored."""
    past = {at: measures for at, measures in days.items() if day - HISTORY <= at < day}
    week = _week_before(past, day)
    if len(week) < rule.warm_up_days:
        return None
    usual = _mean(week.values())
    same = [past[at].cost_pico_usd for number in (1, 2, 3, 4) if (at := day - number * WEEK) in past]
    if len(same) >= _SAME_WEEKDAYS_MIN:
        usual = max(usual, median_low(same))
    return UsualDay(usual, max(_spread(past, rule), rule.spread_min), tuple(week))


def day_excess(
    day: date, today: Measures, usual: UsualDay, calendar: Calendar = UTC_DAYS, rule: DayRule = DAY_OVER_WEEK
) -> Excess | None:
    """The excess of `day`, which has used `today` so far."""
    cost = today.cost_pico_usd
    if today.calls < rule.calls_min or cost < max(rule.floor_pico_usd, rule.times_usual * usual.cost_pico_usd):
        return None
    if math.log(cost / max(usual.cost_pico_usd, 1)) < rule.spreads_min * usual.spread:
        return None
    length = calendar.length_of(day)
    return Excess(
        HourTotals(calendar.start_of(day), today), usual.cost_pico_usd,
        tuple(hour for at in usual.basis for hour in calendar.hours_of(at)), "day_over_week", length,
        len(usual.basis), measured=length,
    )  # fmt: skip


def _week_before(days: Days, day: date) -> dict[date, Measures]:
    return {at: days[at] for number in range(7, 0, -1) if (at := day - number * DAY) in days}


def _mean(days: Iterable[Measures]) -> int:
    costs = [measures.cost_pico_usd for measures in days]
    return sum(costs) // len(costs)


def _spread(past: Days, rule: DayRule) -> float:
    logs = []
    for day, measures in past.items():
        week = _week_before(past, day)
        if len(week) >= rule.warm_up_days:
            logs.append(math.log(max(measures.cost_pico_usd, 1) / max(_mean(week.values()), 1)))
    if len(logs) < rule.warm_up_days:
        # Too young for that: by the days themselves.
        logs = [math.log(max(measures.cost_pico_usd, 1)) for measures in past.values()]
    center = median(logs)
    return _MAD_TO_SIGMA * median(abs(value - center) for value in logs)
