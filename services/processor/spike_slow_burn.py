"""Rule `slow_burn`: what grows a little every day and never spikes. Pure. Days are UTC's.

Each of the last 3 whole days is held against the same weekday 2 and 3 weeks before it. When all three lie `times_usual`
times above, and well outside what such ratios were before, the series has crept up. Told once a week.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from pricing.money import PICO_PER_USD
from services.processor.spike_baselines import DAY, WEEK
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


def week_of(day: datetime) -> datetime:
    """The start of the UTC week, a Monday."""
    return day - day.weekday() * DAY


def slow_burn(today: datetime, days: Days, rule: SlowBurnRule = SLOW_BURN) -> Excess | None:
    """The excess of the 3 whole days before `today` (the start of a day); `today` itself doesn't count."""
    last = [today - number * DAY for number in range(_DAYS, 0, -1)]
    pairs = [(days.get(day), _reference(days, day)) for day in last]
    if any(totals is None or not usual for totals, usual in pairs):
        return None
    measures = sum((totals.measures for totals, _ in pairs if totals is not None), Measures())
    if measures.cost_pico_usd < rule.floor_pico_usd or measures.calls < rule.calls_min:
        return None
    needed = max(math.log(rule.times_usual), rule.spreads_min * _spread(days, today, rule))
    if any(_ratio(totals, usual) < needed for totals, usual in pairs if totals is not None):
        return None
    basis = [at for day in last for weeks in (2, 3) if (at := day - weeks * WEEK) in days]
    usual = round(sum(usual for _, usual in pairs))
    observed = HourTotals(week_of(today), measures)
    return Excess(observed, usual, tuple(basis), "slow_burn", WEEK, DAY, last[0], _DAYS * DAY)


def _reference(days: Days, day: datetime) -> float:
    """The same weekday 2 and 3 weeks before, their mean; 0 unless both are there."""
    found = [days[at].measures.cost_pico_usd for weeks in (2, 3) if (at := day - weeks * WEEK) in days]
    return sum(found) / 2 if len(found) == 2 else 0.0


def _ratio(totals: HourTotals, usual: float) -> float:
    return math.log(max(totals.measures.cost_pico_usd, 1) / usual)


def _spread(days: Days, today: datetime, rule: SlowBurnRule) -> float:
    """How far neighbouring weeks lie apart, from before the tested days: of the days 4 to 14 before today."""
    steps = []
    for number in range(_DAYS + 1, 15):
        day, before = today - number * DAY, today - number * DAY - WEEK
        if day in days and before in days:
            steps.append(_ratio(days[day], max(days[before].measures.cost_pico_usd, 1)))
    if len(steps) < rule.warm_up_days:
        return rule.spread_min
    center = median(steps)
    return max(rule.spread_min, 1.4826 * median(abs(step - center) for step in steps))
