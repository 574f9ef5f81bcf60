"""Laws of the rules for days, minutes and slow growth, and of what is usual."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from services.processor.spike_baselines import usual_hour
from services.processor.spike_calendar import DAY, WEEK
from services.processor.spike_daily import DAY_OVER_WEEK, Days, by_day, day_excess, usual_day
from services.processor.spike_fast import MINUTE, fast_excess, find_jump, highest_burst
from services.processor.spike_slow_burn import slow_burn
from services.processor.spikes import Excess, HourTotals, Measures

MONDAY = datetime(2026, 10, 5, tzinfo=UTC)
NOON = MONDAY + timedelta(hours=12)
HOUR = timedelta(hours=1)
COSTS = st.integers(10**9, 10**15)
FACTORS = st.floats(1.0, 20.0)


def of(cost_pico_usd: int, calls: int = 1_000) -> Measures:
    return Measures(cost_pico_usd, calls, calls, calls, calls)


def excess_of(day: date, today: Measures, days: Days) -> Excess | None:
    usual = usual_day(day, days)
    return day_excess(day, today, usual) if usual is not None else None


def totals(at: datetime, cost_pico_usd: int, calls: int = 1_000) -> HourTotals:
    return HourTotals(at, of(cost_pico_usd, calls))


def month(seed: int, level: int, until: datetime = NOON, growth_a_day: float = 1.0) -> list[HourTotals]:
    """Four weeks with a rhythm, a little noise and growth."""
    random = Random(seed)
    hours = []
    for age in range(1, 29 * 24):
        at = until - age * HOUR
        rhythm = (3 if 8 <= at.hour < 20 else 1) * (0.4 if at.weekday() >= 5 else 1)
        cost = level * rhythm * random.uniform(0.9, 1.1) * growth_a_day ** (-age / 24)
        hours.append(totals(at, round(cost)))
    return hours


@given(st.integers(0, 99), COSTS)
def test_the_usual_hour_knows_the_hour_of_the_week(seed: int, level: int) -> None:
    for hour in (NOON, MONDAY + 2 * HOUR, MONDAY - DAY + 12 * HOUR):
        usual = usual_hour(hour, month(seed, level, hour))
        assert usual is not None and usual.kind == "week"
        rhythm = (3 if 8 <= hour.hour < 20 else 1) * (0.4 if hour.weekday() >= 5 else 1)
        assert 0.8 * level * rhythm < usual.cost_pico_usd < 1.25 * level * rhythm
        assert usual.spread < 0.2


@given(st.integers(0, 99), COSTS, st.integers(2, 50))
def test_a_bad_day_moves_nothing_that_is_usual(seed: int, level: int, times: int) -> None:
    plain = month(seed, level)
    bad = [totals(one.hour, one.measures.cost_pico_usd * (times if one.hour >= NOON - DAY else 1)) for one in plain]
    one, other = usual_hour(NOON, plain), usual_hour(NOON, bad)
    assert one is not None and other is not None
    assert abs(other.cost_pico_usd / one.cost_pico_usd - 1) < 0.15


@given(st.integers(0, 99), COSTS, st.floats(1.0, 3.0))
def test_growth_over_the_month_moves_what_is_usual(seed: int, level: int, monthly: float) -> None:
    usual = usual_hour(NOON, month(seed, level, growth_a_day=monthly ** (1 / 28)))
    assert usual is not None
    assert 0.6 * 3 * level < usual.cost_pico_usd < 1.25 * 3 * level


@given(st.integers(0, 99), COSTS, FACTORS, FACTORS)
def test_a_day_that_is_out_of_the_ordinary_still_is_when_it_costs_more(
    seed: int, level: int, factor: float, more: float
) -> None:
    days = by_day(month(seed, level, MONDAY))
    usual = sum(measures.cost_pico_usd for measures in days.values()) // len(days)
    excess = excess_of(MONDAY.date(), of(round(usual * factor)), days)
    if excess is not None:
        assert excess.observed.measures.cost_pico_usd >= DAY_OVER_WEEK.times_usual * excess.usual_pico_usd
        assert excess_of(MONDAY.date(), of(round(usual * factor * more)), days) is not None


@given(st.integers(0, 99), st.integers(10**12, 10**15))
def test_a_months_own_days_are_ordinary(seed: int, level: int) -> None:
    hours = month(seed, level, MONDAY)
    days = by_day(hours)
    for day in sorted(days)[-7:]:
        assert excess_of(day, days[day], days) is None
    assert slow_burn(MONDAY.date(), days) is None


@given(st.integers(0, 99), st.integers(10**12, 10**15))
def test_what_grows_by_five_per_cent_a_day_is_a_slow_burn_and_no_spike(seed: int, level: int) -> None:
    days = by_day(month(seed, level, MONDAY, growth_a_day=1.05))
    excess = slow_burn(MONDAY.date(), days)
    assert excess is not None and excess.ratio > 1.6
    assert (excess.window, excess.measured) == (WEEK, 3 * DAY)
    assert excess_of(MONDAY.date(), of(days[(MONDAY - DAY).date()].cost_pico_usd), days) is None


@given(st.integers(0, 99), st.integers(10**13, 10**15), st.integers(4, 12), st.integers(20, 59))
def test_a_jump_is_seen_within_a_minute_and_usual_minutes_are_not(
    seed: int, level: int, factor: int, second: int
) -> None:
    usual = usual_hour(NOON, month(seed, level))
    assert usual is not None
    now = NOON + timedelta(minutes=7, seconds=second)
    calls = 6_000
    usual = type(usual)(usual.cost_pico_usd, calls, usual.spread, usual.kind, usual.basis)

    def minute(at: datetime, times: int, seconds: int = 60) -> HourTotals:
        share = times * seconds / 3_600
        return totals(at, round(usual.cost_pico_usd * share), round(calls * share))

    steady = [minute(NOON + number * MINUTE, 1) for number in range(3, 7)]
    assert find_jump([*steady, minute(NOON + 7 * MINUTE, 1, second)], now, usual) is None
    jumped = [*steady, minute(NOON + 7 * MINUTE, factor, second)]
    jump = find_jump(jumped, now, usual)
    assert jump is not None and jump.start == NOON + 7 * MINUTE
    assert fast_excess(jump, steady, usual) is not None
    # A job that does this every hour is no jump.
    assert fast_excess(jump, [minute(NOON - 53 * MINUTE, factor)], usual) is None


@given(st.lists(st.tuples(st.integers(0, 120), st.integers(0, 10**9)), max_size=40), st.integers(1, 5))
def test_the_highest_burst_is_one_of_its_stretches(minutes: list[tuple[int, int]], length: int) -> None:
    costs = dict(minutes)
    found = highest_burst([totals(NOON + number * MINUTE, cost) for number, cost in costs.items()], length)
    stretches = [sum(costs.get(start + step, 0) for step in range(length)) for start in range(-5, 125)]
    assert found == max(stretches) or (not costs and found == 0)
