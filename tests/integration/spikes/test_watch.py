"""What the processor looks at: the hours that were open when they were flushed, however late it looks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from confluent_kafka import Producer

from services.processor.spikes import touched_series
from services.processor.watch import Watch
from tests.integration.alerting.watched import empty
from tests.integration.spikes.spending import Connection, make_tenant, spend, spend_steadily

NOON = datetime(2026, 10, 7, 12, tzinfo=UTC)
AWAY = {"bootstrap.servers": "127.0.0.1:1", "delivery.timeout.ms": 1_000, "message.timeout.ms": 1_000}


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with psycopg.connect(database, autocommit=True) as opened:
        empty(opened)
        opened.execute("DELETE FROM ledger")
        yield opened


@pytest.fixture
def tenant(connection: Connection) -> int:
    tenant_no = make_tenant(connection, "acme-corp")
    spend_steadily(connection, tenant_no, NOON)
    spend(connection, tenant_no, NOON, calls=5_000)
    return tenant_no


def spikes(connection: Connection) -> list[tuple[str, datetime]]:
    return connection.execute(
        "SELECT dimension, window_start FROM spike WHERE rule = 'hour_over_usual' AND dimension IN "
        "('feature', 'tenant_id') ORDER BY dimension"
    ).fetchall()


def test_an_hour_of_a_backlog_is_tested_at_the_stream_time_of_its_own_flush(
    connection: Connection, database: str, tenant: int
) -> None:
    watch = Watch(database, Producer(AWAY))
    watch.touch(touched_series([(tenant, "chat", NOON)]), NOON + timedelta(minutes=20))
    # The worker reads on for hours of stream time before it gets round to looking.
    watch.touch(touched_series([(tenant, "chat", NOON + timedelta(hours=8))]), NOON + timedelta(hours=8, minutes=5))
    watch.run_once()
    assert spikes(connection) == [("feature", NOON), ("tenant_id", NOON)]


def test_an_hour_that_was_over_when_it_was_flushed_is_no_news(
    connection: Connection, database: str, tenant: int
) -> None:
    watch = Watch(database, Producer(AWAY))
    watch.touch(touched_series([(tenant, "chat", NOON)]), NOON + timedelta(hours=9))
    watch.run_once()
    assert spikes(connection) == []


def test_what_the_last_owner_committed_and_did_not_look_at_is_looked_at_on_assignment(
    connection: Connection, database: str, tenant: int
) -> None:
    connection.execute(
        "INSERT INTO ledger (cluster_id, topic_id, topic, kafka_partition, stream_through) "
        "VALUES ('c', 't', 'u', 0, %s)",
        [NOON + timedelta(minutes=20)],
    )
    watch = Watch(database, Producer(AWAY))
    watch.run_once()
    assert spikes(connection) == []
    watch.assigned()
    watch.run_once()
    assert spikes(connection) == [("feature", NOON), ("tenant_id", NOON)]
