"""What an hour of a series usually costs, by its own past: robust, and knowing the hour of the week. Pure.

The usual hour is, from the best history there is:

- `week`: the median of the same hour of the week in the last 4 weeks, from 3 of them on, moved by how far the last 72
  hours lie above or below theirs (growth; medians, so that a bad day moves nothing);
- `day`: the median of the same hour of the last 7 days, from 3 of them on, or the mean of all hours where that is more;
- `all`: the mean of the hours of the last 7 days.

The spread is how far hours usually lie from that, in log space: 1.4826 times the median absolute deviation over the
last 7 days, which is a standard deviation where the noise is normal and stays small where one hour in ten is an
outlier. Hours without calls are left out, so that a series that runs once a day is measured against its runs, not its
silence.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import median, median_low
from typing import Literal

from services.processor.spike_calendar import DAY, WEEK, Calendar
from services.processor.spikes import HOUR, HourTotals

Basis = Literal["week", "day", "all"]
HISTORY = 4 * WEEK
# Hours with calls that must lie in the history before anything counts as usual.
WARM_UP_HOURS = 24
_SAME_HOURS_MIN = 3
_LEVEL = timedelta(hours=72)
# A median absolute deviation is this much less than a standard deviation, where the noise is normal.
_MAD_TO_SIGMA = 1.4826
# With fewer, how far hours lie from their usual is not known; then all hours against their own median say it.
_RESIDUALS_MIN = 12

Active = Mapping[datetime, HourTotals]


@dataclass(frozen=True, slots=True)
class Usual:
    """The usual hour: `spread` is in log space; `basis` are the hours it was made of, never empty."""

    cost_pico_usd: int
    calls: float
    spread: float
    kind: Basis
    basis: tuple[datetime, ...]


def local_usual_hour(hour: datetime, history: Iterable[HourTotals], calendar: Calendar) -> Usual | None:
    """The same by the clock on the wall: in the weeks after it was changed, who starts work at eight still does."""
    if calendar.is_steady(hour - HISTORY, hour):
        return usual_hour(hour, history)
    # Of two hours with one name, when the clock was put back, the later one counts.
    named = {calendar.wall_hour(past.hour): past for past in sorted(history, key=lambda past: past.hour)}
    usual = usual_hour(calendar.wall_hour(hour), [HourTotals(name, past.measures) for name, past in named.items()])
    return None if usual is None else replace(usual, basis=tuple(named[name].hour for name in usual.basis))


def usual_hour(hour: datetime, history: Iterable[HourTotals]) -> Usual | None:
    """The usual cost of the hour that starts at `hour`, None within the warm-up. Hours from `hour` on are ignored."""
    first = hour - HISTORY
    active = {past.hour: past for past in history if first <= past.hour < hour and past.measures.calls > 0}
    if len(active) < WARM_UP_HOURS:
        return None
    kind, same = _same_hours(active, hour)
    lately = [past for at, past in active.items() if at >= hour - WEEK] or list(active.values())
    mean = sum(past.measures.cost_pico_usd for past in lately) // len(lately)
    if kind == "week":
        level, spread = _level_and_spread(active, hour)
        center = median_low(past.measures.cost_pico_usd for past in same)
        cost = round(center * math.exp(level)) if level else center
    else:
        spread = _spread([_log(past) for past in lately]) if kind == "all" else _daily_spread(active, hour, lately)
        cost = max(mean, median_low(past.measures.cost_pico_usd for past in same)) if kind == "day" else mean
    if kind == "all" or (kind == "day" and cost == mean):
        same = tuple(sorted(lately, key=lambda past: past.hour))
    return Usual(cost, _calls(same, cost), spread, kind, tuple(past.hour for past in same))


def _same_hours(active: Active, hour: datetime) -> tuple[Basis, tuple[HourTotals, ...]]:
    for kind, step, count in (("week", WEEK, 4), ("day", DAY, 7)):
        same = tuple(active[at] for number in range(count, 0, -1) if (at := hour - number * step) in active)
        if len(same) >= _SAME_HOURS_MIN:
            return ("week" if kind == "week" else "day"), same
    return "all", ()


def _level_and_spread(active: Active, hour: datetime) -> tuple[float, float]:
    """How far the last days lie above the same hours of the weeks before them, and how they scatter about that."""
    residuals: list[tuple[datetime, float]] = []
    at = hour - WEEK
    while at < hour:
        if at in active:
            before = [active[past].measures.cost_pico_usd for n in (1, 2, 3) if (past := at - n * WEEK) in active]
            if len(before) >= 2:
                residuals.append((at, _log(active[at]) - math.log(max(median_low(before), 1))))
        at += HOUR
    if len(residuals) < _RESIDUALS_MIN:
        return 0.0, _spread([_log(past) for past in active.values()])
    late = [residual for at, residual in residuals if at >= hour - _LEVEL] or [residual for _, residual in residuals]
    return median(late), _spread([residual for _, residual in residuals])


def _daily_spread(active: Active, hour: datetime, lately: Iterable[HourTotals]) -> float:
    """The same by the same hour of other days, as long as there are no weeks to compare."""
    residuals = []
    for past in lately:
        others = [
            active[at].measures.cost_pico_usd
            for number in range(-7, 8)
            if number and (at := past.hour + number * DAY) in active and at < hour
        ]
        if len(others) >= 2:
            residuals.append(_log(past) - math.log(max(median_low(others), 1)))
    return _spread(residuals if len(residuals) >= _RESIDUALS_MIN else [_log(past) for past in lately])


def _spread(values: list[float]) -> float:
    center = median(values)
    return _MAD_TO_SIGMA * float(median(abs(value - center) for value in values))


def _log(past: HourTotals) -> float:
    return math.log(max(past.measures.cost_pico_usd, 1))


def _calls(basis: tuple[HourTotals, ...], cost_pico_usd: int) -> float:
    """Calls of the usual hour: those of its basis, moved as its cost was."""
    cost, calls = (sum(getattr(past.measures, name) for past in basis) for name in ("cost_pico_usd", "calls"))
    return float(calls * cost_pico_usd / cost) if cost and cost_pico_usd else float(calls / len(basis))
