"""Rule `slow_burn`: what grows a little every day and never spikes. Pure. Days are the tenant's local ones.

Each of the last 3 whole days is held against the same weekday 2 and 3 weeks before it. When all three lie `times_usual`
times above, and well outside what such ratios were before, the series has crept up. Told once a week.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from statistics import median

from pricing.money import PICO_PER_USD
from services.processor.spike_calendar import DAY, UTC_DAYS, WEEK, Calendar
from services.processor.spike_daily import Days
from services.processor.spikes import Excess, HourTotals, Measures

_DAYS = 3


@dataclass(frozen=True, slots=True)
class SlowBurnRule:
    """The thresholds, all of them."""

    times_usual: float = 1.6
    spreads_min: float = 3.0
    # Of the three days together.
    floor_pico_usd: int = 5 * PICO_PER_USD
    calls_min: int = 150
    spread_min: float = 0.1
    # Earlier days whose ratio is known; 3 weeks and more of history.
    warm_up_days: int = 3


SLOW_BURN = SlowBurnRule()


def week_of(day: date) -> date:
    """The Monday of its week."""
    return day - day.weekday() * DAY


def slow_burn(today: date, days: Days, calendar: Calendar = UTC_DAYS, rule: SlowBurnRule = SLOW_BURN) -> Excess | None:
    """The excess of the 3 whole days before `today`; `today` itself doesn't count."""
    last = [today - number * DAY for number in range(_DAYS, 0, -1)]
    pairs = [(days.get(day), _reference(days, day)) for day in last]
    if any(measures is None or not usual for measures, usual in pairs):
        return None
    total = sum((measures for measures, _ in pairs if measures is not None), Measures())
    if total.cost_pico_usd < rule.floor_pico_usd or total.calls < rule.calls_min:
        return None
    needed = max(math.log(rule.times_usual), rule.spreads_min * _spread(days, today, rule))
    if any(_ratio(measures, usual) < needed for measures, usual in pairs if measures is not None):
        return None
    basis = [at for day in last for weeks in (2, 3) if (at := day - weeks * WEEK) in days]
    usual = round(sum(usual for _, usual in pairs))
    monday, start = week_of(today), calendar.start_of(last[0])
    hours = tuple(hour for at in basis for hour in calendar.hours_of(at))
    return Excess(
        HourTotals(calendar.start_of(monday), total), usual, hours, "slow_burn",
        calendar.start_of(monday + WEEK) - calendar.start_of(monday), len(basis) / _DAYS, start,
        calendar.start_of(today) - start,
    )  # fmt: skip


def _reference(days: Days, day: date) -> float:
    """The same weekday 2 and 3 weeks before, their mean; 0 unless both are there."""
    found = [days[at].cost_pico_usd for weeks in (2, 3) if (at := day - weeks * WEEK) in days]
    return sum(found) / 2 if len(found) == 2 else 0.0


def _ratio(measures: Measures, usual: float) -> float:
    return math.log(max(measures.cost_pico_usd, 1) / usual)


def _spread(days: Days, today: date, rule: SlowBurnRule) -> float:
    """How far neighbouring weeks lie apart, from before the tested days: of the days 4 to 14 before today."""
    steps = []
    for number in range(_DAYS + 1, 15):
        day, before = today - number * DAY, today - number * DAY - WEEK
        if day in days and before in days:
            steps.append(_ratio(days[day], max(days[before].cost_pico_usd, 1)))
    if len(steps) < rule.warm_up_days:
        return rule.spread_min
    center = median(steps)
    return max(rule.spread_min, 1.4826 * median(abs(step - center) for step in steps))
