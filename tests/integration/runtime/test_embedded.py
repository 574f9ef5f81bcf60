"""The embedded broker and database themselves, in data folders of their own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from services.contracts.topics import USAGE_EVENTS
from services.runtime.embedded.backends import Backends, EmbeddedBackends
from services.runtime.embedded.home import HomeError
from services.runtime.topics import ensure_topics
from tests.backends import temporary_home
from tests.processes import has_ended


@pytest.fixture
def home() -> Iterator[Path]:
    with temporary_home() as folder:
        yield folder


def _write(running: Backends, value: bytes) -> None:
    ensure_topics(running.kafka_bootstrap)
    producer = Producer({"bootstrap.servers": running.kafka_bootstrap})
    producer.produce(USAGE_EVENTS.name, value, partition=0)
    assert producer.flush(10) == 0
    with psycopg.connect(running.database_dsn) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (value bytea)")
        connection.execute("INSERT INTO kept VALUES (%s)", [value])


def _read(running: Backends) -> tuple[list[bytes], list[bytes]]:
    """The values in the log's first partition and those in the database."""
    consumer = Consumer({"bootstrap.servers": running.kafka_bootstrap, "group.id": "test"})
    partition = TopicPartition(USAGE_EVENTS.name, 0, 0)
    consumer.assign([partition])
    _, end = consumer.get_watermark_offsets(partition, timeout=10)
    messages = [consumer.poll(10) for _ in range(end)]
    consumer.close()
    with psycopg.connect(running.database_dsn) as connection:
        rows = connection.execute("SELECT value FROM kept ORDER BY value").fetchall()
    values = [message.value() for message in messages if message is not None]
    return [bytes(value) for value in values if value is not None], [bytes(row[0]) for row in rows]


def test_each_starts_again_after_being_killed_and_after_a_stop_finds_the_data_at_the_same_ports(home: Path) -> None:
    backends = EmbeddedBackends(home)
    first = backends.start()
    _write(first, b"one")
    with pytest.raises(HomeError, match="in use"):
        EmbeddedBackends(home).start()
    assert backends.kafka is not None
    assert backends.postgres is not None
    for process in list(backends.processes.values()):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    backends.kafka.relaunch()
    backends.postgres.relaunch()
    backends.postgres.wait_ready()
    backends.kafka.wait_ready()
    assert _read(first) == ([b"one"], [b"one"])
    processes = [psutil.Process(process.pid) for process in backends.processes.values()]
    everyone = processes + [child for process in processes for child in process.children(recursive=True)]
    assert len(processes) == 2
    backends.stop()
    assert all((home / part).stat().st_mode & 0o077 == 0 for part in ("kafka", "postgres", "logs"))
    assert all(has_ended(process) for process in everyone)
    with EmbeddedBackends(home) as second:
        assert second == first
        assert _read(second) == ([b"one"], [b"one"])


def test_the_database_is_private_to_its_owner_and_no_superuser(home: Path) -> None:
    backends = EmbeddedBackends(home, kafka=False)
    running = backends.start()
    try:
        with psycopg.connect(running.database_dsn) as connection:
            row = connection.execute(
                "SELECT rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = current_user"
            )
            assert row.fetchone() == (False, True, True)
            encoding = connection.execute(
                "SELECT current_setting('server_encoding'), current_setting('listen_addresses')"
            )
            assert encoding.fetchone() == ("UTF8", "127.0.0.1")
        wrong = running.database_dsn.replace("@", "x@", 1)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(wrong)
        assert not list(home.glob("*password*"))
        assert (home / "postgres").stat().st_mode & 0o077 == 0
    finally:
        backends.stop()
