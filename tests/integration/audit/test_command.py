"""`spendstream audit` beside a processor at work: killed, sent everything twice, corrupted, repaired under load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from services.runtime.embedded.backends import Backends
from tests.backends import FreshTopics, with_database
from tests.integration.processor.running import ROOT, Processor, produce
from tests.ledger import Books, books


@pytest.fixture
def processor(backends: Backends, database: str, kafka_topics: FreshTopics, tmp_path: Path) -> Iterator[Processor]:
    built = Processor(backends.kafka_bootstrap, database, kafka_topics, tmp_path / "processor.log")
    built.start()
    yield built
    built.stop()


def audit(backends: Backends, dsn: str, topics: FreshTopics, *options: str) -> tuple[int, Any, str]:
    """Exit code, JSON, and what it said beside."""
    ran = subprocess.run(
        [sys.executable, "-m", "services.cli.main", "audit", "--json", *options],
        cwd=ROOT,
        env={
            **os.environ,
            "SPENDSTREAM_DATABASE_DSN": dsn,
            "SPENDSTREAM_KAFKA_BOOTSTRAP": backends.kafka_bootstrap,
            "SPENDSTREAM_USAGE_TOPIC": topics.usage_events.name,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return ran.returncode, json.loads(ran.stdout) if ran.stdout else None, ran.stderr


def messages(producer: Books, count: int) -> list[bytes]:
    return [batch.SerializeToString(deterministic=True) for batch in producer.batches(count, 100)]


def test_the_audit_holds_whatever_happens_and_a_repair_under_load_mends_what_was_corrupted(
    backends: Backends, database: str, kafka_topics: FreshTopics, processor: Processor
) -> None:
    producer, topic = books(9, span=timedelta(hours=30)), kafka_topics.usage_events.name
    first = [*messages(producer, 2_000), b"\xff\xff not usage", *messages(producer, 1_000)]
    produce(backends.kafka_bootstrap, topic, first)
    processor.wait_read(500)
    processor.kill()
    processor.start()
    produce(backends.kafka_bootstrap, topic, first)
    processor.wait_read(6_002)
    code, report, _ = audit(backends, database, kafka_topics)
    assert (code, report["holds"]) == (0, True), report
    (read,) = (one["totals"] for one in report["identities"] if one["name"].startswith("read from Kafka"))
    assert read == {
        "events_read": 6_002, "counted": producer.calls, "duplicate": producer.calls, "dead_lettered": 2,
        "quarantined": 0,
    }  # fmt: skip
    (log,) = (one for one in report["identities"] if one["name"] == "ledger offset within the log")
    assert log["totals"]["messages_behind"] == 0 and not log["note"]

    with psycopg.connect(database) as connection:
        connection.execute(
            "UPDATE usage_minute_base SET calls = calls + 5 WHERE ctid IN (SELECT ctid FROM usage_minute_base LIMIT 1)"
        )
        connection.execute("DELETE FROM channel_hour_base WHERE ctid IN (SELECT ctid FROM channel_hour_base LIMIT 1)")
    code, report, said = audit(backends, database, kafka_topics)
    assert code == 1 and report, said
    named = {(one["level"], one["measure"]) for part in report["identities"] for one in part["differences"]}
    assert {("usage_minute", "calls"), ("channel_hour", "calls"), ("channel_hour", "billed_usd")} <= named

    more = messages(producer, 3_000)
    sending = threading.Thread(target=produce, args=(backends.kafka_bootstrap, topic, more))
    sending.start()
    start, end = (producer.now - timedelta(hours=40)).isoformat(), (producer.now + timedelta(hours=1)).isoformat()
    code, report, said = audit(backends, database, kafka_topics, "--repair", "--from", start, "--to", end)
    sending.join()
    assert (code, report["holds"]) == (0, True), (report, said)
    assert "built again" in said
    processor.wait_read(9_002)
    code, report, _ = audit(backends, database, kafka_topics, "--full")
    assert (code, report["hours_known"]) == (0, 0)
    with psycopg.connect(database) as connection:
        logged = connection.execute("SELECT count(*) FROM admin_log WHERE action = 'audit.repair'").fetchone()
    assert logged is not None and logged[0] >= 1


def test_an_audit_that_cannot_be_done_says_so_with_another_exit_code(
    backends: Backends, database: str, kafka_topics: FreshTopics
) -> None:
    code, report, said = audit(backends, with_database(database, "no_such_database"), kafka_topics)
    assert (code, report) == (2, None)
    assert said.startswith("spendstream audit: the database: ") and "no_such_database" in said
    assert audit(backends, database, kafka_topics, "--repair")[0] == 2
