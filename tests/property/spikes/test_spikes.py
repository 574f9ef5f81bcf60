"""Laws of the spike rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from services.processor.spike_baselines import HISTORY, WARM_UP_HOURS
from services.processor.spike_hourly import HOUR_OVER_USUAL, evaluate
from services.processor.spikes import HourTotals, Measures, is_open

RULE = HOUR_OVER_USUAL
HOUR = datetime(2026, 10, 7, 12, tzinfo=UTC)
HISTORY_HOURS = int(HISTORY / timedelta(hours=1))
COSTS = st.integers(0, 10**16)


def totals(hour: datetime, cost_pico_usd: int, calls: int = 100) -> HourTotals:
    return HourTotals(hour, Measures(cost_pico_usd, calls, calls, 1_000 * calls, 100 * calls))


@st.composite
def histories(draw: st.DrawFn, hours_min: int = WARM_UP_HOURS) -> list[HourTotals]:
    ages = draw(st.sets(st.integers(1, HISTORY_HOURS), min_size=hours_min, max_size=HISTORY_HOURS))
    return [totals(HOUR - timedelta(hours=age), draw(COSTS), draw(st.integers(1, 10**6))) for age in sorted(ages)]


@given(histories(), COSTS, COSTS)
def test_what_fires_fires_when_it_costs_more(history: list[HourTotals], cost: int, more: int) -> None:
    if evaluate(totals(HOUR, cost), history) is not None:
        assert evaluate(totals(HOUR, cost + more), history) is not None


@given(histories(), st.integers(0, RULE.floor_pico_usd - 1), st.integers(0, 10**9))
def test_nothing_fires_under_the_floor(history: list[HourTotals], cost: int, calls: int) -> None:
    assert evaluate(totals(HOUR, cost, calls), history) is None


@given(histories(), COSTS, st.integers(0, RULE.calls_min - 1))
def test_nothing_fires_with_few_calls(history: list[HourTotals], cost: int, calls: int) -> None:
    assert evaluate(totals(HOUR, cost, calls), history) is None


@given(st.lists(COSTS, max_size=WARM_UP_HOURS - 1), COSTS)
def test_nothing_fires_before_the_warm_up_is_over(costs: list[int], cost: int) -> None:
    history = [totals(HOUR - timedelta(hours=age), past) for age, past in enumerate(costs, start=1)]
    assert evaluate(totals(HOUR, cost), history) is None


@given(histories(hours_min=0), COSTS)
def test_the_tested_window_and_what_lies_outside_the_week_change_nothing(history: list[HourTotals], cost: int) -> None:
    outside = [
        totals(HOUR, 10**17),
        totals(HOUR + timedelta(hours=1), 10**17),
        totals(HOUR - timedelta(hours=HISTORY_HOURS + 1), 10**17),
    ]
    assert evaluate(totals(HOUR, cost), history + outside) == evaluate(totals(HOUR, cost), history)


@given(histories(), COSTS, st.randoms())
def test_the_order_of_the_history_does_not_matter(history: list[HourTotals], cost: int, random: Random) -> None:
    shuffled = list(history)
    random.shuffle(shuffled)
    one, other = evaluate(totals(HOUR, cost), history), evaluate(totals(HOUR, cost), shuffled)
    assert (one is None) == (other is None)
    assert one is None or other is None or one.usual_pico_usd == other.usual_pico_usd


@given(histories(), COSTS)
def test_a_spike_is_at_least_three_times_its_usual_hour(history: list[HourTotals], cost: int) -> None:
    excess = evaluate(totals(HOUR, cost), history)
    if excess is not None:
        assert cost >= 3 * excess.usual_pico_usd
        assert excess.basis


@given(histories(), COSTS, st.integers(1, 10))
def test_a_stricter_rule_never_finds_more(history: list[HourTotals], cost: int, stricter: int) -> None:
    strict = replace(RULE, times_usual=RULE.times_usual + stricter)
    if evaluate(totals(HOUR, cost), history, strict) is not None:
        assert evaluate(totals(HOUR, cost), history, RULE) is not None


@given(st.integers(10**9, 10**15), st.integers(1, 300))
def test_a_steady_series_never_fires(cost: int, percent: int) -> None:
    history = [totals(HOUR - timedelta(hours=age), cost) for age in range(1, HISTORY_HOURS + 1)]
    fired = evaluate(totals(HOUR, cost * percent // 100), history) is not None
    assert not fired or percent == 300


@given(st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)), st.integers(0, 40 * 24))  # noqa: DTZ001
def test_only_this_hour_and_the_one_before_are_open(now: datetime, age_hours: int) -> None:
    hour = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=age_hours)
    assert is_open(hour, now) == (age_hours <= 1)
