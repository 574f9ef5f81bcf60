"""Every rule, as one literal: what a series looks like now → what is out of the ordinary about it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pricing.money import PICO_PER_USD
from services.processor.spike_baselines import Usual, usual_hour
from services.processor.spike_daily import Days, by_day, day_excess, day_of
from services.processor.spike_fast import fast_excess, find_jump
from services.processor.spike_hourly import hour_excess
from services.processor.spike_slow_burn import slow_burn
from services.processor.spikes import Excess, HourTotals, Measures

# Below these no rule's floor can be reached, today's neither.
_FLOOR_PICO_USD, _CALLS_MIN = PICO_PER_USD // 12, 3


@dataclass(frozen=True, slots=True)
class Past:
    """`usual` is None within the warm-up; `days` are the whole days before today; `today` is today before the hour."""

    usual: Usual | None
    days: Days
    today: Measures


def past_of(hour: datetime, history: list[HourTotals]) -> Past:
    """The past of a series before `hour`. Pure."""
    days = by_day(history)
    today = days.pop(day_of(hour), None)
    return Past(usual_hour(hour, history), days, today.measures if today else Measures())


@dataclass(frozen=True, slots=True)
class Seen:
    """A series at stream time `now`: an open hour, its past, and where the hour is running the last minutes."""

    hour: HourTotals
    past: Past
    minutes: Sequence[HourTotals]
    now: datetime


Earlier = Callable[[datetime], Iterable[HourTotals]]


def is_worth_a_look(hour: Measures) -> bool:
    """Whether an hour is large enough for any rule."""
    return hour.cost_pico_usd >= _FLOOR_PICO_USD and hour.calls >= _CALLS_MIN


def _hourly(seen: Seen, _earlier: Earlier) -> Excess | None:
    return hour_excess(seen.hour, seen.past.usual) if seen.past.usual is not None else None


def _fast(seen: Seen, earlier: Earlier) -> Excess | None:
    usual = seen.past.usual
    jump = find_jump(seen.minutes, seen.now, usual) if usual is not None and seen.minutes else None
    return fast_excess(jump, earlier(jump.start), usual) if jump is not None and usual is not None else None


def _daily(seen: Seen, _earlier: Earlier) -> Excess | None:
    today = HourTotals(day_of(seen.hour.hour), seen.past.today + seen.hour.measures)
    return day_excess(today, seen.past.days)


def _slow(seen: Seen, _earlier: Earlier) -> Excess | None:
    return slow_burn(day_of(seen.hour.hour), seen.past.days)


RULES: tuple[Callable[[Seen, Earlier], Excess | None], ...] = (_hourly, _fast, _daily, _slow)


def excesses(seen: Seen, earlier: Earlier) -> list[Excess]:
    """What the rules found. `earlier` reads minutes before a moment, where the fast rule has to ask for them."""
    return [excess for rule in RULES if (excess := rule(seen, earlier)) is not None]
