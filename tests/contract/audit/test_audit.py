"""What is corrupted is named, whatever level it is at; what is repaired holds again; the same on both stores."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from services.audit.engine import Question, audit_snapshot, run_audit
from services.audit.repair import CannotRepairError, Repaired, repair
from services.audit.report import Report, to_json
from services.contracts.rollups import FAMILIES, USAGE, Level, Rollup
from services.contracts.stubs.spendstream.v1 import usage_pb2
from tests.contract.storage.harness import Harness
from tests.ledger import books

LEVELS = [(rollup, level) for rollup in FAMILIES for level in rollup.levels]
EVENTS = 3_006


def _wrong(report: Report) -> set[str]:
    return {identity.name for identity in report.identities if not identity.holds}


def _table(connection: psycopg.Connection, rollup: Rollup, level: Level) -> str:
    """Where the rows of a level lie."""
    if level not in rollup.built_levels:
        return rollup.base_table
    if connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'").fetchone() is None:
        return f"{rollup.view(level)}_mat"
    row = connection.execute(
        "SELECT format('%%I.%%I', materialization_hypertable_schema, materialization_hypertable_name) "
        "FROM timescaledb_information.continuous_aggregates WHERE view_name = %s",
        (rollup.view(level),),
    ).fetchone()
    assert row is not None
    return str(row[0])


def _corrupt(connection: psycopg.Connection, rollup: Rollup, level: Level, change: str) -> tuple[datetime, str]:
    """Changes one closed row by SQL; its bucket and tenant."""
    table = _table(connection, rollup, level)
    row = connection.execute(
        f"UPDATE {table} AS t SET {change} FROM (SELECT bucket, tenant_no FROM {table} ORDER BY bucket, tenant_no "
        f"LIMIT 1) AS first, tenant AS k WHERE t.ctid = (SELECT ctid FROM {table} WHERE bucket = first.bucket "
        "AND tenant_no = first.tenant_no LIMIT 1) AND t.bucket = first.bucket AND k.tenant_no = t.tenant_no "
        "RETURNING t.bucket, k.tenant_id".encode()
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def _repair_all(connection: psycopg.Connection) -> list[Repaired]:
    noted: list[Repaired] = []
    now = datetime.now(UTC)
    repair(connection, now - timedelta(days=4), now + timedelta(hours=1), lambda _, piece: noted.append(piece))
    return noted


def test_every_identity_holds_over_what_was_counted(counted: Harness, connection: psycopg.Connection) -> None:
    report = run_audit(connection, Question(full=True))
    assert (report.holds, report.differences) == (True, ())
    totals = {identity.name: identity.totals for identity in report.identities}
    assert totals["read from Kafka = counted + duplicate + dead-lettered + quarantined"] == {
        "events_read": EVENTS, "counted": EVENTS - 3, "duplicate": 1, "dead_lettered": 1, "quarantined": 1
    }  # fmt: skip
    assert {totals[f"raw = {rollup.view(level)}"]["calls"] for rollup, level in LEVELS if rollup.name == "usage"} == {
        EVENTS - 3
    }
    assert totals["raw = units_day"] == {"quantity": 3}
    assert totals["counted = priced + unpriced"] == {"events": 1}


def test_a_second_audit_compares_only_what_is_open(counted: Harness, connection: psycopg.Connection) -> None:
    run_audit(connection, Question())
    second = run_audit(connection, Question())
    # The hour under way, and the one before it while it isn't closed.
    assert second.hours_known > 60 and second.hours_checked <= 2
    assert second.holds
    assert run_audit(connection, Question(full=True)).hours_known == 0


def test_with_no_time_each_audit_goes_on_where_the_last_left_off(
    counted: Harness, connection: psycopg.Connection
) -> None:
    connection.execute("DELETE FROM audit_checkpoint")
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    reports = [run_audit(connection, Question(seconds_max=0.0)) for _ in range(3)]
    assert all(report.holds for report in reports)
    # The days before yesterday, in turn.
    first, second = today - timedelta(days=3), today - timedelta(days=2)
    assert [[(span.start, span.end) for span in report.left] for report in reports] == [
        [(first, second)], [(second, second + timedelta(days=1))], [(first, second)]
    ]  # fmt: skip
    # By then every hour was compared once, and looks the same when there is time for all of them.
    whole = run_audit(connection, Question(seconds_max=60.0))
    assert whole.hours_known > 60 and whole.hours_checked <= 2 and whole.left == ()
    assert connection.execute("SELECT count(*) FROM audit_left_off").fetchone() == (0,)


def test_what_is_wrong_in_days_there_was_no_time_for_is_found_when_they_have_their_turn(
    counted: Harness, connection: psycopg.Connection
) -> None:
    assert run_audit(connection, Question()).holds
    bucket, _ = _corrupt(connection, USAGE, "day", "calls = t.calls + 1")
    first = run_audit(connection, Question(seconds_max=0.0))
    assert first.holds and any(span.start <= bucket < span.end for span in first.left)
    rest = [run_audit(connection, Question(seconds_max=0.0)) for _ in range(3)]
    assert {one.bucket for report in rest for one in report.differences} == {bucket}
    _repair_all(connection)
    assert run_audit(connection, Question()).differences == ()


@pytest.mark.parametrize(("rollup", "level"), LEVELS, ids=[rollup.view(level) for rollup, level in LEVELS])
def test_a_row_that_was_changed_is_named_and_repaired(
    counted: Harness, connection: psycopg.Connection, rollup: Rollup, level: Level
) -> None:
    assert run_audit(connection, Question()).holds
    measure = rollup.measures[0]
    bucket, tenant = _corrupt(connection, rollup, level, f"{measure} = t.{measure} + 1")
    report = run_audit(connection, Question())
    assert f"raw = {rollup.view(level)}" in _wrong(report)
    named = [one for one in report.differences if one.relation == rollup.view(level) and one.measure == measure]
    assert [(one.bucket, one.tenant_id, one.found - one.expected) for one in named] == [(bucket, tenant, 1)]
    assert _repair_all(connection)
    assert run_audit(connection, Question()).differences == ()


@pytest.mark.parametrize("level", ["minute", "15m", "hour", "day"])
def test_cost_that_moved_to_another_dimension_is_noticed(
    counted: Harness, connection: psycopg.Connection, level: Level
) -> None:
    rollup = USAGE
    _corrupt(connection, rollup, level, "model = 'another-model'")
    report = run_audit(connection, Question())
    assert {"calls by dimension", "cost by dimension"} <= {one.measure for one in report.differences}
    _repair_all(connection)
    assert run_audit(connection, Question(full=True)).holds


@pytest.mark.parametrize(
    ("statement", "identity"),
    [
        ("UPDATE ledger SET counted = counted + 1 WHERE kafka_partition = 1", "read from Kafka = "),
        ("UPDATE ledger SET next_offset = next_offset + 1 WHERE kafka_partition = 1", "ledger offset = "),
        ("UPDATE ledger SET counted = counted - 1, duplicate = duplicate + 1", "counted by the ledger = "),
        ("DELETE FROM event_identity WHERE event_key IN (SELECT event_key FROM event_identity LIMIT 1)", "raw = id"),
        ("DELETE FROM usage_event WHERE event_id = (SELECT min(event_id) FROM usage_event)", "raw = usage_minute"),
        ("DELETE FROM unpriced_event", "counted = priced + unpriced"),
        ("UPDATE run_base SET calls = calls + 1 WHERE run_id = 'run7'", "runs = raw"),
        ("DELETE FROM run_base WHERE run_id = 'run7'", "runs = raw"),
        (
            "UPDATE usage_minute_base SET tenant_no = 999 WHERE bucket < (SELECT min(bucket) + '1 h' FROM usage_hour)",
            "Σ tenants",
        ),
    ],
)  # fmt: skip
def test_each_other_identity_is_seen_to_break(
    counted: Harness, connection: psycopg.Connection, statement: str, identity: str
) -> None:
    assert run_audit(connection, Question()).holds
    with connection.transaction(force_rollback=True):
        connection.execute(statement.encode())
        report = _audit_within(connection)
    assert any(name.startswith(identity) for name in _wrong(report)), _wrong(report)


def _audit_within(connection: psycopg.Connection) -> Report:
    """An audit that sees what the transaction of the test has changed."""
    return audit_snapshot(connection, Question(full=True))[0]


def test_a_bucket_that_waits_for_refresh_is_named_and_fails_nothing(
    counted: Harness, connection: psycopg.Connection
) -> None:
    producer_now = datetime.now(UTC)
    bucket, _ = _corrupt(connection, USAGE, "15m", "calls = t.calls + 1")
    connection.execute("INSERT INTO dirty_bucket (bucket) VALUES (%s)", (bucket,))
    report = run_audit(connection, Question())
    assert report.holds and bucket in report.waiting
    assert {one.relation for one in report.differences} == {"usage_15m"} and all(o.waiting for o in report.differences)
    _repair_all(connection)
    counted.refresh(producer_now)
    assert run_audit(connection, Question()).differences == ()


def test_only_some_tenants_figures_are_checked_without_the_ledger(
    counted: Harness, connection: psycopg.Connection
) -> None:
    number = counted.tenants.numbers(["acme"])["acme"]
    report = run_audit(connection, Question(tenants=(number,)))
    assert report.holds and report.ledger == ()
    (calls,) = (one.totals["calls"] for one in report.identities if one.name == "raw = usage_day")
    assert 0 < calls < EVENTS - 3


def test_the_ledger_beyond_the_brokers_log_is_a_difference_and_messages_to_come_are_not(
    counted: Harness, connection: psycopg.Connection
) -> None:
    ends = {(counted.stream.topic_id, 0): (0, counted.offsets[0] + 5), (counted.stream.topic_id, 1): (0, 1)}
    report = run_audit(connection, Question(ends=ends))
    assert _wrong(report) == {"ledger offset within the log"}
    assert [(one.expected, one.found) for one in report.differences] == [(1, counted.offsets[1])]


def test_what_raw_events_no_longer_hold_is_not_repaired(counted: Harness, connection: psycopg.Connection) -> None:
    now = datetime.now(UTC)
    connection.execute("INSERT INTO retention_floor VALUES ('usage_event', %s, %s)", (now - timedelta(days=30), now))
    with pytest.raises(CannotRepairError, match="complete from"):
        repair(connection, now - timedelta(days=31), now, lambda *_: None)
    connection.execute("DELETE FROM retention_floor")


def test_a_report_as_json_is_plain_values(counted: Harness, connection: psycopg.Connection) -> None:
    shown = json.loads(json.dumps(to_json(run_audit(connection, Question()))))
    assert shown["holds"] is True and shown["ledger"][0]["events_read"] > 0


def test_hours_and_days_that_are_still_open_say_what_came_into_them_last(empty: Harness) -> None:
    producer = books(3)
    day = (producer.now - timedelta(days=2)).replace(hour=0, minute=0, second=0)
    minutes = [5, 13 * 60 + 5, 13 * 60 + 21, 13 * 60 + 50, 14 * 60 + 2, 23 * 60 + 58, 24 * 60 + 40, 25 * 60 + 10]
    with psycopg.connect(empty.dsn, autocommit=True, options="-c timezone=UTC") as connection:
        for minute in minutes:
            at = day + timedelta(minutes=minute)
            empty.apply(empty.message(usage_pb2.UsageBatch(events=[producer.event("acme", at)]), producer.now))
            report = run_audit(connection, Question())
            assert report.holds and not report.waiting, (minute, report.differences)
            empty.refresh(at + timedelta(minutes=17))
            report = run_audit(connection, Question())
            assert report.holds and not report.waiting, (minute, report.differences)
        empty.refresh(producer.now)
        assert run_audit(connection, Question(full=True)).differences == ()


def test_what_retention_dropped_is_no_difference(counted: Harness, connection: psycopg.Connection) -> None:
    floor = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    dropped = {"usage_event": "occurred_at", "event_identity": "occurred_at", "unpriced_event": "occurred_at"}
    with connection.transaction(force_rollback=True):
        for relation, column in {**dropped, "usage_minute": "bucket"}.items():
            connection.execute("INSERT INTO retention_floor VALUES (%s, %s, now())", (relation, floor))
            table = "usage_minute_base" if relation == "usage_minute" else relation
            connection.execute(f"DELETE FROM {table} WHERE {column} < %s".encode(), (floor,))
        report = audit_snapshot(connection, Question(full=True))[0]
    assert report.holds, report.differences
