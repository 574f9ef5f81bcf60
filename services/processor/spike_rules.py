"""Every rule, as one literal: what a series looks like now → what is out of the ordinary about it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from pricing.money import PICO_PER_USD
from services.processor.spike_baselines import Usual, local_usual_hour
from services.processor.spike_calendar import UTC_DAYS, Calendar
from services.processor.spike_daily import UsualDay, by_day, day_excess, usual_day
from services.processor.spike_fast import fast_excess, find_jump
from services.processor.spike_hourly import hour_excess
from services.processor.spike_slow_burn import slow_burn
from services.processor.spikes import HOUR, Excess, HourTotals, Measures, hour_of

# Below these no rule's floor can be reached, today's neither.
_FLOOR_PICO_USD, _CALLS_MIN = PICO_PER_USD // 12, 3


@dataclass(frozen=True, slots=True)
class Past:
    """`usual` and `usual_day` are None within the warm-up; `today` is today before the hour; `slow` is what the days
    before today say.
    """

    usual: Usual | None
    usual_day: UsualDay | None
    today: Measures
    slow: Excess | None


def past_of(hour: datetime, day: date, rows: list[HourTotals], calendar: Calendar = UTC_DAYS) -> Past:
    """The past of a series before `hour` of its tenant's `day`. `rows` are hours, split ones in quarters; where the day
    begins within the hour they go on until it begins. Pure.
    """
    days = by_day(rows, calendar)
    today = days.pop(day, Measures())
    usual = local_usual_hour(hour, _whole_hours(rows), calendar)
    return Past(usual, usual_day(day, days), today, slow_burn(day, days, calendar))


def _whole_hours(rows: list[HourTotals]) -> list[HourTotals]:
    if all(row.hour.minute == 0 for row in rows):
        # Quarters of one hour, the others of which had no calls, begin at its start too.
        return rows
    hours: dict[datetime, Measures] = {}
    for row in rows:
        hour = hour_of(row.hour)
        hours[hour] = hours.get(hour, Measures()) + row.measures
    return [HourTotals(hour, measures) for hour, measures in hours.items()]


def day_looked_at(hour: datetime, now: datetime, calendar: Calendar) -> tuple[date, datetime, datetime]:
    """The local day that `hour` is tested as a part of at `now`, and which part of the hour lies in it.

    Today, but for the hour before the first one of today; where a day begins within the hour, what came of it counts.
    """
    day = calendar.day_of(max(hour, min(now, hour + HOUR - timedelta(microseconds=1))))
    return day, max(hour, calendar.start_of(day)), min(hour + HOUR, calendar.start_of(day + timedelta(days=1)))


@dataclass(frozen=True, slots=True)
class Seen:
    """A series at stream time `now`: an open hour, its past, and where the hour is running the last minutes."""

    hour: HourTotals
    past: Past
    minutes: Sequence[HourTotals]
    now: datetime
    day: date
    # What of the hour belongs to the day.
    of_day: Measures
    calendar: Calendar = UTC_DAYS


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
    usual = seen.past.usual_day
    return day_excess(seen.day, seen.past.today + seen.of_day, usual, seen.calendar) if usual is not None else None


def _slow(seen: Seen, _earlier: Earlier) -> Excess | None:
    return seen.past.slow


RULES: tuple[Callable[[Seen, Earlier], Excess | None], ...] = (_hourly, _fast, _daily, _slow)


def excesses(seen: Seen, earlier: Earlier) -> list[Excess]:
    """What the rules found. `earlier` reads minutes before a moment, where the fast rule has to ask for them."""
    return [excess for rule in RULES if (excess := rule(seen, earlier)) is not None]
