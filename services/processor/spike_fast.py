"""Rule `minutes_over_usual`: sees a jump within seconds. Pure.

The last minutes, up to the second the stream has come to, against what the usual hour costs in that time. Four windows
end now: the running minute, and it with 1, 2 and 4 before it. A window is a jump when it costs `times_usual` times as
much as usual, when that is no chance of few calls (`deviations_min` standard deviations of a compound Poisson count
whose calls scatter as much as they cost), when it lies outside the series' own spread, and when the series had no such
burst in this hour of the last days nor in the last hours: a job that runs for five minutes every hour is no jump.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pricing.money import PICO_PER_USD
from services.processor.spike_baselines import Usual
from services.processor.spike_calendar import UTC_DAYS, Calendar
from services.processor.spikes import HOUR, Excess, HourTotals, Measures, hour_of

MINUTE = timedelta(minutes=1)
WINDOWS_MINUTES = (0, 1, 2, 4)
LOOK_BACK = max(WINDOWS_MINUTES) * MINUTE
# What came in so many minutes may belong to the jump itself.
PEAK_GAP = timedelta(minutes=15)
_SECONDS_OF_HOUR = 3_600


def minute_of(moment: datetime) -> datetime:
    """The start of the minute."""
    return moment.replace(second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class FastRule:
    """The thresholds, all of them."""

    times_usual: float = 2.5
    deviations_min: float = 7.0
    spreads_min: float = 4.5
    floor_pico_usd: int = PICO_PER_USD // 4
    calls_min: int = 20
    seconds_min: float = 10.0
    # Over the highest burst there was.
    times_peak: float = 1.3


MINUTES_OVER_USUAL = FastRule()


@dataclass(frozen=True, slots=True)
class Jump:
    """A window that lies above all that is usual; a spike unless there was such a burst before."""

    start: datetime
    seconds: float
    measures: Measures
    usual_pico_usd: int

    @property
    def minutes(self) -> int:
        """Whole minutes that a burst of this length touches at most."""
        return math.ceil(self.seconds / 60)


def find_jump(
    minutes: Sequence[HourTotals], now: datetime, usual: Usual, rule: FastRule = MINUTES_OVER_USUAL
) -> Jump | None:
    """The shortest window ending at `now` that is a jump. `minutes` are the totals of the last minutes, by minute."""
    running = minute_of(now)
    for whole in WINDOWS_MINUTES:
        start = running - whole * MINUTE
        seconds = (now - start).total_seconds()
        measures = sum((minute.measures for minute in minutes if start <= minute.hour <= now), Measures())
        if seconds >= rule.seconds_min and _is_jump(measures, seconds, usual, rule):
            return Jump(start, seconds, measures, round(usual.cost_pico_usd * seconds / _SECONDS_OF_HOUR))
    return None


def _is_jump(measures: Measures, seconds: float, usual: Usual, rule: FastRule) -> bool:
    cost = measures.cost_pico_usd
    if measures.calls < rule.calls_min or cost < rule.floor_pico_usd:
        return False
    expected = usual.cost_pico_usd * seconds / _SECONDS_OF_HOUR
    calls = max(usual.calls * seconds / _SECONDS_OF_HOUR, 1.0)
    if cost < rule.times_usual * expected:
        return False
    # Chance is judged about what a busy hour costs, two spreads up: both kinds of noise may come together.
    busy = math.exp(2 * usual.spread)
    deviation = math.sqrt(2 * calls * busy) * max(expected / calls, 1.0)
    if cost - expected * busy < rule.deviations_min * deviation:
        return False
    return math.log(cost / max(expected, 1.0)) >= rule.spreads_min * usual.spread


def earlier_spans(start: datetime, calendar: Calendar = UTC_DAYS) -> list[tuple[datetime, datetime]]:
    """Where to look for such a burst: this hour of the last 7 days and a quarter around it, and the last 3 hours."""
    days = [calendar.days_before(hour_of(start), number) for number in range(1, 8)]
    return [*((hour - PEAK_GAP, hour + HOUR + PEAK_GAP) for hour in days), (start - 3 * HOUR, start - PEAK_GAP)]


def highest_burst(minutes: Iterable[HourTotals], length_minutes: int) -> int:
    """The dearest `length_minutes` minutes in a row, in pico-USD."""
    costs = {minute.hour: minute.measures.cost_pico_usd for minute in minutes}
    return max(
        (sum(costs.get(start + step * MINUTE, 0) for step in range(length_minutes)) for start in costs), default=0
    )


def fast_excess(
    jump: Jump, earlier: Iterable[HourTotals], usual: Usual, rule: FastRule = MINUTES_OVER_USUAL
) -> Excess | None:
    """The excess, unless `earlier` minutes (of this hour on the days before, of the hours before) had such a burst."""
    if jump.measures.cost_pico_usd < rule.times_peak * highest_burst(earlier, jump.minutes):
        return None
    is_over_hour = jump.measures.cost_pico_usd >= rule.times_usual * usual.cost_pico_usd
    return Excess(
        HourTotals(hour_of(jump.start), jump.measures), jump.usual_pico_usd, usual.basis, "minutes_over_usual",
        windows=len(usual.basis) if is_over_hour else None, start=jump.start, measured=timedelta(seconds=jump.seconds),
        usual_hour_pico_usd=usual.cost_pico_usd if is_over_hour else None,
    )  # fmt: skip
