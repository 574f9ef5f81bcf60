"""What an alert says, in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from services.alerting.firings import spike_firings
from services.alerting.notice import Notice, notice
from tests.unit.alerting.samples import NOW, SPIKE, SPIKE_RULE, USD


def of_a_day(detected_at: datetime) -> Notice:
    """6 October in Berlin."""
    start = datetime(2026, 10, 5, 22, tzinfo=UTC)
    spike = replace(
        SPIKE, rule="day_over_week", tz="Europe/Berlin", window_start=start, window_end=start + timedelta(days=1),
        detected_at=detected_at, observed_pico_usd=42 * USD, current_pico_usd=42 * USD, usual_pico_usd=10 * USD,
    )  # fmt: skip
    (firing,) = spike_firings([replace(SPIKE_RULE, alert_type="anomaly")], [spike])
    return notice(firing, [], "https://spend.example", NOW)


def test_todays_anomaly_is_said_to_be_todays() -> None:
    said = of_a_day(datetime(2026, 10, 6, 21, 59, tzinfo=UTC))
    assert said.title == "chat at acme-corp: $42.00 today, 4.2 × its average day"
    assert said.figures[0].label == "Today"


def test_yesterdays_anomaly_that_comes_late_is_not_said_to_be_todays() -> None:
    said = of_a_day(datetime(2026, 10, 6, 22, 9, tzinfo=UTC))
    assert said.title == "chat at acme-corp: $42.00 on 6 Oct, 4.2 × its average day"
    assert said.figures[0].label == "6 Oct"


def of_seconds(cost_usd: int, usual_pico_usd: int, **evidence: str) -> str:
    spike = replace(
        SPIKE, rule="minutes_over_usual", observed_pico_usd=cost_usd * USD, current_pico_usd=cost_usd * USD,
        usual_pico_usd=usual_pico_usd, evidence={"measured_seconds": 24.0, **evidence},
    )  # fmt: skip
    (firing,) = spike_firings([SPIKE_RULE], [spike])
    return notice(firing, [], "https://spend.example", NOW).title


def test_seconds_are_held_against_the_usual_pace_and_against_dollars_where_that_is_next_to_nothing() -> None:
    assert of_seconds(9, 2 * USD) == "chat at acme-corp: $9.00 in 24 s, 4.5 × its usual pace"
    assert of_seconds(9, USD // 1_000) == "chat at acme-corp: $9.00 in 24 s, usually $0.001"
    assert of_seconds(9, 0) == "chat at acme-corp: $9.00 in 24 s, usually nothing"


def test_seconds_that_cost_more_than_a_usual_hour_are_held_against_it() -> None:
    said = of_seconds(9, USD // 1_000, usual_hour_usd="1.50")
    assert said == "chat at acme-corp: $9.00 in 24 s, 6.0 × its usual hour"
