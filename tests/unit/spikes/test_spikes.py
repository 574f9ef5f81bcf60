"""The spike rule on cases small enough to check by head."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pricing.money import PICO_PER_USD
from services.processor.spike_hourly import evaluate
from services.processor.spikes import HourTotals, Measures, SeriesHour, is_open, touched_series

NOON = datetime(2026, 10, 7, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def hour(at: datetime, usd: int, calls: int = 100) -> HourTotals:
    return HourTotals(at, Measures(usd * PICO_PER_USD, calls, calls, calls, calls))


def flat(usd: int, hours: int = 168) -> list[HourTotals]:
    return [hour(NOON - age * HOUR, usd) for age in range(1, hours + 1)]


def test_three_times_the_usual_hour_is_a_spike_and_a_bit_less_is_not() -> None:
    excess = evaluate(hour(NOON, 6), flat(2))
    assert excess is not None and excess.usual_pico_usd == 2 * PICO_PER_USD and excess.ratio == 3.0
    just_under = HourTotals(NOON, Measures(6 * PICO_PER_USD - 1, 100, 100, 0, 0))
    assert evaluate(just_under, flat(2)) is None


def test_twenty_four_hours_of_data_are_enough_and_twenty_three_are_not() -> None:
    assert evaluate(hour(NOON, 6), flat(2, hours=24)) is not None
    assert evaluate(hour(NOON, 6), flat(2, hours=23)) is None


def test_a_job_that_costs_ten_dollars_every_noon_is_no_spike_at_noon_but_is_one_at_night() -> None:
    history = [hour(NOON - age * HOUR, 10 if age % 24 == 0 else 1) for age in range(1, 169)]
    assert evaluate(hour(NOON, 10), history) is None
    night = NOON + 12 * HOUR
    shifted = [hour(past.hour + 12 * HOUR, past.measures.cost_pico_usd // PICO_PER_USD) for past in history]
    by_night = [past if past.hour.hour == 12 else hour(past.hour, 1) for past in shifted]
    assert evaluate(hour(night, 10), by_night) is not None


def test_hours_without_calls_do_not_make_a_rare_job_unusual() -> None:
    history = [hour(NOON - age * HOUR, 5, calls=100 if age % 5 == 0 else 0) for age in range(1, 169)]
    assert evaluate(hour(NOON, 5), history) is None


def test_a_series_that_was_free_fires_above_the_floor() -> None:
    excess = evaluate(hour(NOON, 2), flat(0))
    assert excess is not None and excess.ratio == float("inf")


def test_a_late_event_does_not_open_yesterdays_hour() -> None:
    now = NOON + timedelta(minutes=7)
    assert is_open(NOON, now) and is_open(NOON - HOUR, now)
    assert not is_open(NOON - 2 * HOUR, now) and not is_open(NOON - 24 * HOUR, now)


def test_an_event_slightly_ahead_of_the_stream_is_in_an_open_hour() -> None:
    assert is_open(NOON, NOON - timedelta(minutes=4))
    assert not is_open(NOON, NOON - timedelta(minutes=6))


def test_a_flush_touches_each_feature_and_its_tenant_once_an_hour() -> None:
    keys = [(7, "chat", NOON + timedelta(minutes=m)) for m in range(3)] + [(7, "", NOON), (8, "chat", NOON + HOUR)]
    assert touched_series(keys) == {
        SeriesHour(7, "feature", "chat", NOON),
        SeriesHour(7, "feature", "", NOON),
        SeriesHour(7, "tenant_id", "", NOON),
        SeriesHour(8, "feature", "chat", NOON + HOUR),
        SeriesHour(8, "tenant_id", "", NOON + HOUR),
    }
