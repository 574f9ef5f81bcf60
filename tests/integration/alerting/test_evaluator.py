"""From committed spending to recorded alerts, on a real database."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.alerting.evaluator import Telling, evaluate_limits, evaluate_spikes
from services.processor.spike_store import detect, open_hours
from tests.integration.alerting.watched import add_rule, add_spike, connect, empty
from tests.integration.spikes.spending import Connection, make_tenant, spend, spend_steadily

NOW = datetime(2026, 10, 7, 12, 20, tzinfo=UTC)
TELLING = Telling("https://spend.example", has_default_slack=True)
# One call of 900 and 20 tokens is $0.00245, so 40,000 are $98.
CALL_PICO_USD = 2_450_000_000


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        empty(opened)
        yield opened


def alerts(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT tenant_id, series, threshold, title FROM alert ORDER BY fired_at, series"
    ).fetchall()


def outbox(connection: Connection) -> list[tuple[str, str]]:
    return connection.execute("SELECT channel, target FROM notification ORDER BY channel, target").fetchall()


def test_a_spike_becomes_one_alert_with_its_message_in_the_outbox(connection: Connection) -> None:
    add_rule(connection)
    feature, *_wider = add_spike(connection, "acme-corp", NOW)
    assert evaluate_spikes(connection, NOW, TELLING) == 1
    assert evaluate_spikes(connection, NOW + timedelta(seconds=1), TELLING) == 0
    assert alerts(connection) == [
        (
            "acme-corp",
            "acme-corp/feature=chat",
            "200%",
            "chat at acme-corp: $3.78 since 12:00 UTC, 3.9 × its usual hour",
        )
    ]
    ((channel, target, slack, payload, summary),) = connection.execute(
        "SELECT channel, target, n.payload, alert.payload, summary FROM notification n JOIN alert USING (alert_id)"
    ).fetchall()
    assert (channel, target) == ("slack", "default")
    assert slack["blocks"][1]["text"]["text"] == "Prompts grew from 900 to 3,700 tokens."
    assert summary == feature.cause and payload["spike_id"] == str(feature.spike_id)
    assert payload["observed_usd"] == "3.78" and payload["usual_usd"] == "0.98"


def test_an_hour_and_its_last_seconds_found_at_once_are_told_as_the_hour(connection: Connection) -> None:
    add_rule(connection)
    now = NOW.replace(second=40)
    tenant_no = make_tenant(connection, "acme-corp")
    spend_steadily(connection, tenant_no, now.replace(minute=0, second=0), calls=400)
    spend(connection, tenant_no, now.replace(second=0), calls=400, prompt=3_700)
    found = detect(connection, open_hours(connection, now), now)
    assert {spike.rule for spike in found} == {"hour_over_usual", "minutes_over_usual"}
    # Whatever their ids are.
    for _ in range(4):
        connection.execute("DELETE FROM alert")
        connection.execute("UPDATE spike SET spike_id = gen_random_uuid()")
        assert evaluate_spikes(connection, NOW, TELLING) == 1
        ((title,),) = connection.execute("SELECT title FROM alert").fetchall()
        assert title == "chat at acme-corp: $3.78 since 12:00 UTC, 3.9 × its usual hour"


def test_workers_that_evaluate_at_once_record_one_alert(connection: Connection, database: str) -> None:
    add_rule(connection)
    add_spike(connection, "acme-corp", NOW)
    gate, told = threading.Barrier(4), []

    def worker() -> None:
        with connect(database) as own:
            gate.wait()
            told.append(evaluate_spikes(own, NOW, TELLING))

    workers = [threading.Thread(target=worker) for _ in range(4)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert sorted(told) == [0, 0, 0, 1]
    assert len(alerts(connection)) == len(outbox(connection)) == 1


def test_a_rules_own_channels_replace_the_default_one(connection: Connection) -> None:
    add_rule(
        connection,
        slack_webhook="https://hooks.slack.com/services/T/B/secret",
        webhook_url="https://example.com/hook",
        notification_emails=["a@example.com", "b@example.com"],
    )
    add_spike(connection, "acme-corp", NOW)
    evaluate_spikes(connection, NOW, TELLING)
    assert outbox(connection) == [
        ("email", "a@example.com"),
        ("email", "b@example.com"),
        ("slack", "rule"),
        ("webhook", "rule"),
    ]
    kept = connection.execute(
        "SELECT alert.*::text || n.*::text FROM alert JOIN notification n USING (alert_id)"
    ).fetchall()
    assert not any("secret" in row[0] for row in kept)


def test_without_any_channel_the_alert_is_kept_and_nothing_is_sent(connection: Connection) -> None:
    add_rule(connection)
    add_spike(connection, "acme-corp", NOW)
    assert evaluate_spikes(connection, NOW, Telling("https://spend.example", has_default_slack=False)) == 1
    assert len(alerts(connection)) == 1 and outbox(connection) == []


def test_a_second_tenants_spike_is_an_alert_of_its_own(connection: Connection) -> None:
    add_rule(connection)
    add_spike(connection, "acme-corp", NOW)
    evaluate_spikes(connection, NOW, TELLING)
    add_spike(connection, "bigco-inc", NOW)
    assert evaluate_spikes(connection, NOW, TELLING) == 1
    assert [alert[0] for alert in alerts(connection)] == ["acme-corp", "bigco-inc"]


def test_a_stricter_rule_fires_when_the_hour_has_grown_to_it(connection: Connection) -> None:
    add_rule(connection, threshold_percent=500)
    add_spike(connection, "acme-corp", NOW)
    assert evaluate_spikes(connection, NOW, TELLING) == 0
    ((tenant_no,),) = connection.execute("SELECT tenant_no FROM tenant").fetchall()
    spend(connection, tenant_no, NOW, calls=400, prompt=3_700)
    assert evaluate_spikes(connection, NOW, TELLING) == 1
    ((title, summary),) = connection.execute("SELECT title, summary FROM alert").fetchall()
    assert title == "chat at acme-corp: $7.56 since 12:00 UTC, 7.7 × its usual hour"
    assert summary == "chat at acme-corp costs 7.7 × its usual hour: prompts grew from 900 to 3,700 tokens."


def test_a_daily_limit_fires_once_when_it_is_reached_and_again_the_next_day(connection: Connection) -> None:
    add_rule(connection, name="Daily", alert_type="daily_limit", threshold_cents=10_000)
    tenant_no = make_tenant(connection, "acme-corp")
    spend(connection, tenant_no, datetime(2026, 10, 6, 23, 59, tzinfo=UTC), calls=50_000)
    spend(connection, tenant_no, NOW, calls=40_000)
    assert evaluate_limits(connection, NOW, TELLING) == 0
    spend(connection, make_tenant(connection, "bigco-inc"), NOW, calls=1_000)
    assert evaluate_limits(connection, NOW, TELLING) == 1
    assert evaluate_limits(connection, NOW + timedelta(hours=3), TELLING) == 0
    assert alerts(connection) == [(None, "all", "10000", "All tenants: $100.45 today, limit $100.00")]
    tomorrow = NOW + timedelta(days=1)
    spend(connection, tenant_no, tomorrow, calls=41_000)
    assert evaluate_limits(connection, tomorrow, TELLING) == 1
    assert connection.execute("SELECT state FROM alert ORDER BY fired_at").fetchall() == [("resolved",), ("firing",)]


def test_a_tenants_day_is_its_own(connection: Connection) -> None:
    tenant_no = make_tenant(connection, "pune", tz="Asia/Kolkata")
    add_rule(connection, name="Day", alert_type="daily_limit", threshold_cents=1_000, tenant_id="pune")
    # Midnight there is 18:30 UTC: the second half of this hour is a new day.
    spend(connection, tenant_no, datetime(2026, 10, 6, 18, 29, tzinfo=UTC), calls=9_000)
    spend(connection, tenant_no, datetime(2026, 10, 6, 18, 31, tzinfo=UTC), calls=4_000)
    assert evaluate_limits(connection, NOW, TELLING) == 0
    spend(connection, tenant_no, datetime(2026, 10, 6, 18, 30, tzinfo=UTC), calls=100)
    assert evaluate_limits(connection, NOW, TELLING) == 1
    ((payload,),) = connection.execute("SELECT payload FROM alert").fetchall()
    assert payload["window_start"] == "2026-10-06T18:30:00+00:00"
    assert payload["observed_usd"] == "10.045"  # 4,100 x $0.00245


def test_a_limit_may_be_for_one_feature(connection: Connection) -> None:
    tenant_no = make_tenant(connection, "acme-corp")
    add_rule(
        connection, alert_type="monthly_limit", threshold_cents=1_000, tenant_id="acme-corp", scope={"feature": "chat"}
    )
    spend(connection, tenant_no, NOW, calls=50_000, feature="search")
    assert evaluate_limits(connection, NOW, TELLING) == 0
    spend(connection, tenant_no, NOW - timedelta(days=6), calls=5_000)
    assert evaluate_limits(connection, NOW, TELLING) == 1
    assert alerts(connection)[0][1] == "acme-corp/feature=chat"


def test_a_rule_nobody_can_read_does_not_stop_the_others(connection: Connection) -> None:
    add_rule(connection, alert_type="daily_limit", threshold_cents=1, scope={"feature; DROP TABLE alert": "x"})
    add_rule(connection, alert_type="daily_limit", threshold_cents=1)
    spend(connection, make_tenant(connection, "acme-corp"), NOW)
    assert evaluate_limits(connection, NOW, TELLING) == 1


def test_limits_are_exact_while_buckets_wait_for_refresh(connection: Connection) -> None:
    add_rule(connection, alert_type="monthly_limit", threshold_cents=1)
    tenant_no = make_tenant(connection, "acme-corp")
    for day in range(1, 7):
        spend(connection, tenant_no, datetime(2026, 10, day, 7, 3, tzinfo=UTC), calls=1_000)
    before = connection.execute("SELECT materialized_through FROM rollup_state").fetchone()
    connection.execute("UPDATE rollup_state SET materialized_through = %s", [datetime(2026, 10, 7, tzinfo=UTC)])
    connection.execute(
        "INSERT INTO dirty_bucket (bucket) "
        "SELECT generate_series('2026-10-01 07:00Z'::timestamptz, '2026-10-06 07:00Z', INTERVAL '1 day')"
    )
    try:
        assert evaluate_limits(connection, NOW, TELLING) == 1
    finally:
        connection.execute("UPDATE rollup_state SET materialized_through = %s", before)
    ((payload,),) = connection.execute("SELECT payload FROM alert").fetchall()
    assert payload["observed_usd"] == "14.7"  # 6,000 x $0.00245
