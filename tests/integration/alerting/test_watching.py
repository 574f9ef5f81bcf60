"""Budgets, states that last, incidents that end: on a real database."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from psycopg.types.json import Jsonb

from pricing.book import read_book
from services.alerting.evaluator import Telling, evaluate_limits, evaluate_spikes, evaluate_troubles
from services.processor.book_file import BookFile
from tests.integration.alerting.receiver import Answer, receiver
from tests.integration.alerting.watched import add_rule, add_spike, channels, connect, empty, send_one
from tests.integration.spikes.spending import Connection, make_tenant, spend
from tests.unit.pricing.book_texts import RIGHT as RIGHT_BOOK

NOW = datetime(2026, 10, 7, 12, 20, tzinfo=UTC)
TELLING = Telling("https://spend.example", has_default_slack=True)
# One call of 900 and 20 tokens is $0.00245, so 40,000 are $98.


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        empty(opened)
        opened.execute("TRUNCATE partition_progress, ledger")
        yield opened


def add_budget(
    connection: Connection, tenant_id: str | None, window: str = "monthly", usd: int = 100, **scope: str
) -> None:
    connection.execute(
        "INSERT INTO budget (tenant_id, scope, budget_window, limit_pico_usd) VALUES (%s, %s, %s, %s)",
        [tenant_id, Jsonb(scope), window, usd * 10**12],
    )


def told(connection: Connection) -> list[tuple[str, str]]:
    """Series and title, oldest first."""
    return connection.execute("SELECT series, title FROM alert ORDER BY fired_at, threshold").fetchall()


def messages(connection: Connection) -> list[str]:
    rows = connection.execute("SELECT payload ->> 'text' FROM notification ORDER BY created_at").fetchall()
    return [row[0] for row in rows]


def test_eighty_and_a_hundred_per_cent_of_a_budget_are_two_alerts_each_told_once(connection: Connection) -> None:
    add_rule(connection, alert_type="budget", threshold_percent=None, name="Budgets")
    tenant_no = make_tenant(connection, "acme-corp")
    add_budget(connection, "acme-corp", agent_id="helper")
    spend(connection, tenant_no, NOW, calls=32_000)
    assert evaluate_limits(connection, NOW, TELLING) == 0
    spend(connection, tenant_no, NOW, calls=1_000)
    assert evaluate_limits(connection, NOW, TELLING) == 1
    assert evaluate_limits(connection, NOW + timedelta(seconds=5), TELLING) == 0
    spend(connection, tenant_no, NOW, calls=9_000)
    later = NOW + timedelta(minutes=2)
    assert evaluate_limits(connection, later, TELLING) == 1
    assert evaluate_limits(connection, later + timedelta(days=3), TELLING) == 0
    series = "acme-corp/agent_id=helper monthly budget"
    assert told(connection) == [
        (series, "helper at acme-corp: 80.8 % of $100.00 used this month"),
        (series, "helper at acme-corp: 102.9 % of $100.00 used this month"),
    ]
    assert len(messages(connection)) == 2


def test_a_budget_of_all_tenants_adds_them_up(connection: Connection) -> None:
    add_rule(connection, alert_type="budget", threshold_percent=None)
    add_budget(connection, None)
    for tenant_id in ("acme-corp", "bigco-inc"):
        spend(connection, make_tenant(connection, tenant_id), NOW, calls=20_000)
    # 2 x 20,000 x $0.00245 = $98.
    assert evaluate_limits(connection, NOW, TELLING) == 1
    assert evaluate_limits(connection, NOW + timedelta(minutes=1), TELLING) == 0
    assert told(connection) == [("all monthly budget", "All tenants: 98 % of $100.00 used this month")]
    ((cause,),) = connection.execute("SELECT summary FROM alert").fetchall()
    assert cause.startswith("All tenants have used 98 % of their monthly budget: $2.00 of the budget are left")


def test_two_workers_tell_a_budget_once(connection: Connection, database: str) -> None:
    add_rule(connection, alert_type="budget", threshold_percent=None)
    spend(connection, make_tenant(connection, "acme-corp"), NOW, calls=45_000)
    add_budget(connection, "acme-corp")
    gate, told_by = threading.Barrier(2), []

    def worker() -> None:
        with connect(database) as own:
            gate.wait()
            told_by.append(evaluate_limits(own, NOW, TELLING))

    workers = [threading.Thread(target=worker) for _ in range(2)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert sum(told_by) == 2 and len(told(connection)) == 2


def test_a_users_budget_counts_the_half_hour_after_a_local_midnight(connection: Connection) -> None:
    add_rule(connection, alert_type="budget", threshold_percent=None)
    tenant_no = make_tenant(connection, "pune", tz="Asia/Kolkata")
    add_budget(connection, "pune", "daily", 10, user_id="asha")
    # Whole hours come from the rollup; midnight in Kolkata is 18:30 UTC.
    connection.execute(
        "INSERT INTO customer_hour_base (bucket, tenant_no, kafka_partition, customer_id, user_id, model, calls, "
        "billed_pico_usd) VALUES ('2026-10-07 03:00Z', %(t)s, 0, '', 'asha', 'm', 1, 9000000000000), "
        "('2026-10-06 18:00Z', %(t)s, 0, '', 'asha', 'm', 1, 90000000000000), "
        "('2026-10-07 03:00Z', %(t)s, 0, '', 'ravi', 'm', 1, 90000000000000)",
        {"t": tenant_no},
    )
    assert evaluate_limits(connection, NOW, TELLING) == 1
    assert told(connection) == [("pune/user_id=asha daily budget", "asha at pune: 90 % of $10.00 used today")]


def test_calls_without_a_price_are_told_once_a_tenant_and_their_end_too(connection: Connection) -> None:
    add_rule(connection, alert_type="unpriced_usage", threshold_percent=None)
    for tenant_id in ("acme-corp", "bigco-inc"):
        spend(connection, make_tenant(connection, tenant_id), NOW, calls=12)
    connection.execute("UPDATE usage_minute_base SET unpriced_events = calls")
    assert evaluate_troubles(connection, NOW, TELLING) == 2
    assert evaluate_troubles(connection, NOW + timedelta(minutes=1), TELLING) == 0
    assert told(connection)[0] == ("acme-corp", "acme-corp: 12 calls without a price today")
    connection.execute("UPDATE usage_minute_base SET unpriced_events = 0")
    assert evaluate_troubles(connection, NOW + timedelta(minutes=2), TELLING) == 0
    assert connection.execute("SELECT DISTINCT state FROM alert").fetchall() == [("resolved",)]
    assert [text.split(".")[0] for text in messages(connection)][2:] == [
        "Over: acme-corp: 12 calls without a price today", "Over: bigco-inc: 12 calls without a price today",
    ]  # fmt: skip


def refused_file(path: Path, dsn: str) -> BookFile:
    """A book that was right and is refused by now."""
    path.write_text(RIGHT_BOOK)
    file = BookFile(path, dsn)
    path.write_text(RIGHT_BOOK.replace("tier: cheap", "tier: golden"))
    for _ in range(3):
        file.look()
    return file


def test_a_refused_price_book_is_told_with_its_lines_and_its_end_too(
    connection: Connection, tmp_path: Path, database: str
) -> None:
    add_rule(connection, alert_type="unpriced_usage", threshold_percent=None)
    path = tmp_path / "price_book.yaml"
    file = refused_file(path, database)
    refused_at = datetime.now(UTC)
    assert evaluate_troubles(connection, refused_at, TELLING) == 1
    assert evaluate_troubles(connection, refused_at + timedelta(minutes=5), TELLING) == 0
    assert told(connection) == [("all", "A new price book was refused")]
    ((summary,),) = connection.execute("SELECT summary FROM alert").fetchall()
    assert f"Version {read_book(RIGHT_BOOK).version} stays in force" in summary
    assert "openai/small.tier: 'golden' is not one of cheap, standard, premium" in summary
    path.write_text(RIGHT_BOOK)
    for _ in range(3):
        file.look()
    file.close()
    assert evaluate_troubles(connection, refused_at + timedelta(minutes=6), TELLING) == 0
    assert messages(connection)[-1].startswith("Over: A new price book was refused")


def test_a_refused_price_book_is_told_where_nobody_made_a_rule_for_it_and_the_rule_is_made_once(
    connection: Connection, tmp_path: Path, database: str
) -> None:
    connection.execute("DELETE FROM admin_log")
    limit = add_rule(connection, alert_type="daily_limit", threshold_cents=10_000)
    now = datetime.now(UTC)
    assert evaluate_troubles(connection, now, TELLING) == 0
    assert connection.execute("SELECT rule_id FROM alert_rule").fetchall() == [(limit,)], "a right book needs none"
    path = tmp_path / "price_book.yaml"
    file = refused_file(path, database)
    assert evaluate_troubles(connection, now, TELLING) == 1
    assert evaluate_troubles(connection, now + timedelta(minutes=5), TELLING) == 0
    assert told(connection) == [("all", "A new price book was refused")]
    made = "SELECT name, alert_type, tenant_id, is_active FROM alert_rule WHERE rule_id <> %s"
    assert connection.execute(made, [limit]).fetchall() == [("Price Book Alert", "unpriced_usage", None, True)]
    ((action, name),) = connection.execute("SELECT action, detail ->> 'name' FROM admin_log").fetchall()
    assert (action, name) == ("alert.create", "Price Book Alert")
    # Who deletes it does not get it again, whatever is refused.
    connection.execute("DELETE FROM alert_rule WHERE rule_id <> %s", [limit])
    assert evaluate_troubles(connection, now + timedelta(minutes=6), TELLING) == 0
    assert connection.execute("SELECT rule_id FROM alert_rule").fetchall() == [(limit,)]
    path.write_text(RIGHT_BOOK)
    for _ in range(3):
        file.look()
    file.close()


def test_who_silenced_the_rule_for_unpriced_usage_gets_no_other_one(connection: Connection) -> None:
    connection.execute("DELETE FROM admin_log")
    add_rule(connection, alert_type="unpriced_usage", threshold_percent=None, is_active=False)
    connection.execute(
        "INSERT INTO price_book_refusal (path, problems, version_in_force) VALUES ('book.yaml', 'wrong', '1')"
    )
    assert evaluate_troubles(connection, NOW, TELLING) == 0
    assert connection.execute("SELECT count(*) FROM alert_rule").fetchone() == (1,)
    connection.execute("DELETE FROM price_book_refusal")


def test_silence_is_told_when_a_tenant_that_called_calls_no_more(connection: Connection) -> None:
    tenant_no = make_tenant(connection, "acme-corp")
    make_tenant(connection, "never-called")
    add_rule(connection, alert_type="no_data", threshold_percent=None, tenant_id="acme-corp")
    spend(connection, tenant_no, NOW)
    assert evaluate_troubles(connection, NOW + timedelta(minutes=59), TELLING) == 0
    assert evaluate_troubles(connection, NOW + timedelta(minutes=61), TELLING) == 1
    assert evaluate_troubles(connection, NOW + timedelta(minutes=90), TELLING) == 0
    spend(connection, tenant_no, NOW + timedelta(minutes=91))
    assert evaluate_troubles(connection, NOW + timedelta(minutes=92), TELLING) == 0
    assert messages(connection)[-1].startswith("Over: acme-corp: no calls since 12:20 UTC")


def test_a_pipeline_that_is_behind_is_told_once_however_it_creeps(connection: Connection) -> None:
    add_rule(connection, alert_type="pipeline_lag", threshold_percent=None)

    def at(through: datetime) -> None:
        connection.execute("TRUNCATE partition_progress, ledger")
        connection.execute(
            "INSERT INTO ledger (cluster_id, topic_id, topic, kafka_partition, stream_through) "
            "VALUES ('c', 't', 'u', 0, %s)",
            [through],
        )

    at(NOW - timedelta(seconds=90))
    assert evaluate_troubles(connection, NOW, TELLING) == 0
    at(NOW - timedelta(minutes=5))
    assert evaluate_troubles(connection, NOW, TELLING) == 1
    at(NOW - timedelta(minutes=3))
    assert evaluate_troubles(connection, NOW + timedelta(minutes=1), TELLING) == 0
    at(NOW + timedelta(minutes=2))
    assert evaluate_troubles(connection, NOW + timedelta(minutes=2), TELLING) == 0
    assert [text.split(".")[0] for text in messages(connection)] == [
        "Spendstream is 5 min behind", "Over: Spendstream is 5 min behind",
    ]  # fmt: skip


def test_a_spike_is_over_after_an_hour_without_another_and_that_is_told(connection: Connection) -> None:
    add_rule(connection)
    add_spike(connection, "acme-corp", NOW)
    assert evaluate_spikes(connection, NOW, TELLING) == 1
    assert evaluate_spikes(connection, NOW + timedelta(minutes=99), TELLING) == 0
    assert connection.execute("SELECT state FROM alert").fetchall() == [("firing",)]
    assert evaluate_spikes(connection, NOW + timedelta(minutes=101), TELLING) == 0
    assert connection.execute("SELECT state FROM alert").fetchall() == [("resolved",)]
    assert [text.startswith("Over: chat at acme-corp") for text in messages(connection)] == [False, True]


def test_a_channel_with_an_error_that_will_not_pass_is_parked_until_a_message_gets_through(
    connection: Connection,
) -> None:
    rule_id = add_rule(connection, slack_webhook="set below", updated_at=NOW - timedelta(days=1))
    answers = [Answer(404, b"no_service")]
    with receiver(lambda request: answers[0]) as slack:
        connection.execute("UPDATE alert_rule SET slack_webhook = %s", [slack.url])
        add_spike(connection, "acme-corp", NOW)
        evaluate_spikes(connection, NOW, TELLING)
        send_one(connection, channels(), NOW)
        add_spike(connection, "bigco-inc", NOW)
        evaluate_spikes(connection, NOW, TELLING)
        send_one(connection, channels(), NOW)
        assert len(slack.requests) == 1
        states = connection.execute("SELECT state, last_error FROM notification ORDER BY created_at").fetchall()
        assert sorted(states) == [
            ("failed", "Slack answered 404 no_service"), ("parked", "parked: Slack answered 404 no_service"),
        ]  # fmt: skip
        assert connection.execute("SELECT rule_id, channel, target, reason FROM parked_channel").fetchall() == [
            (rule_id, "slack", "rule", "Slack answered 404 no_service")
        ]
        connection.execute("UPDATE alert_rule SET updated_at = %s", [NOW + timedelta(seconds=1)])
        answers[0] = Answer(200, b"ok")
        add_spike(connection, "third-inc", NOW)
        evaluate_spikes(connection, NOW, TELLING)
        send_one(connection, channels(), NOW)
        assert len(slack.requests) == 2
        assert connection.execute("SELECT count(*) FROM parked_channel").fetchone() == (0,)
