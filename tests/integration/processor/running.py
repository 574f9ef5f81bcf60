"""A processor as a process of its own, on the real broker and database."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from pathlib import Path

import psycopg
from confluent_kafka import Consumer, Producer, TopicPartition

from services.contracts.stubs.spendstream.v1 import spike_pb2, usage_pb2
from tests.backends import FreshTopics

ROOT = Path(__file__).parents[3]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Processor:
    """Starts, kills and asks one. `log` holds what it wrote; `settings` are more of its SPENDSTREAM_ variables."""

    def __init__(
        self,
        bootstrap: str,
        dsn: str,
        topics: FreshTopics,
        log: Path,
        instance: str = "one",
        *,
        group: str = "",
        module: str = "services.processor.main",
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.dsn = dsn
        self.port = free_port()
        self.module = module
        self.log = log
        self._environment = {
            **os.environ,
            "SPENDSTREAM_DATABASE_DSN": dsn,
            "SPENDSTREAM_KAFKA_BOOTSTRAP": bootstrap,
            "SPENDSTREAM_PROCESSOR_PORT": str(self.port),
            "SPENDSTREAM_PROCESSOR_INSTANCE": instance,
            "SPENDSTREAM_CONSUMER_GROUP": group or topics.prefix + uuid.uuid4().hex[:6],
            "SPENDSTREAM_USAGE_TOPIC": topics.usage_events.name,
            "SPENDSTREAM_DEAD_LETTER_TOPIC": topics.dead_letter.name,
            "SPENDSTREAM_SPIKES_TOPIC": topics.spend_spikes.name,
            **{f"SPENDSTREAM_{name}": value for name, value in (settings or {}).items()},
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, **settings: str) -> None:
        """`settings` hold for this start only."""
        environment = self._environment | {f"SPENDSTREAM_{name}": value for name, value in settings.items()}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([sys.executable, "-m", self.module], cwd=ROOT, env=environment, stderr=log)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "started"
        return self._process

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def wait_ended(self, seconds: float = 30) -> int:
        """The exit code once it ends by itself."""
        return self.process.wait(seconds)

    def said(self, words: str) -> bool:
        """Whether its log has them."""
        return self.log.exists() and words in self.log.read_text()

    def readiness(self) -> tuple[int, str]:
        """What /readyz answers; (0, …) when nobody does."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except OSError as error:
            return 0, str(error)
        finally:
            connection.close()

    def kill(self) -> None:
        """SIGKILL: no handler runs, nothing is flushed."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        if self._process is None or self._process.poll() is not None:
            return -1
        self._process.terminate()
        return self._process.wait(30)

    def read(self) -> int:
        """Events read so far, by the ledger."""
        query = "SELECT coalesce(sum(counted + duplicate + dead_lettered + quarantined), 0) FROM ledger"
        with psycopg.connect(self.dsn) as connection:
            row = connection.execute(query).fetchone()
        return int(row[0]) if row else 0

    def wait_read(self, events: int, seconds: float = 60) -> None:
        """Until at least that many events are read; fails when the process ends or time is up."""
        deadline = time.monotonic() + seconds
        while self.read() < events:
            assert self._process is not None
            assert self._process.poll() is None, f"the processor ended; see its log:\n{self.log.read_text()[-3000:]}"
            assert time.monotonic() < deadline, f"{self.read()} of {events} read after {seconds} s"
            time.sleep(0.05)


def wait_until(holds: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Fails with `what` when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def produce(bootstrap: str, topic: str, values: Iterable[bytes], key: bytes = b"k") -> None:
    """Raw messages, delivered before this returns."""
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 5, "message.max.bytes": 4_000_000})
    failed: list[str] = []
    for number, value in enumerate(values):
        producer.produce(
            topic, value, key + str(number % 7).encode(), on_delivery=lambda e, _: failed.append(str(e)) if e else None
        )
        producer.poll(0)
    assert producer.flush(30) == 0
    assert not failed


def dead_letters(bootstrap: str, topic: str) -> list[spike_pb2.DeadLetter]:
    """All there are by now."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": topic, "enable.auto.commit": False})
    letters = []
    for partition in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
        at, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
        consumer.assign([TopicPartition(topic, partition, at)])
        while at < end:
            message = consumer.poll(10)
            assert message is not None and message.error() is None, "the dead letters can be read"
            letters.append(spike_pb2.DeadLetter.FromString(message.value() or b""))
            at = (message.offset() or 0) + 1
    consumer.close()
    return letters


def serialized(batches: Iterable[usage_pb2.UsageBatch]) -> list[bytes]:
    return [batch.SerializeToString(deterministic=True) for batch in batches]


def costs_at_every_level(dsn: str) -> dict[str, Decimal]:
    """USD in the raw rows and at each level, by SQL."""
    tables = {
        level: f"SELECT coalesce(sum(billed_pico_usd), 0) FROM usage_{level}"
        for level in ("minute", "15m", "hour", "day")
    }
    tables["raw"] = "SELECT coalesce(sum(cost_pico_usd), 0) FROM usage_event"
    with psycopg.connect(dsn) as connection:
        rows = {name: connection.execute(query).fetchone() for name, query in tables.items()}
    return {name: Decimal(str(row[0])) / Decimal(10**12) for name, row in rows.items() if row is not None}


def wait_settled(dsn: str, wanted: Decimal, seconds: float = 30) -> dict[str, Decimal]:
    """The costs once all levels agree with `wanted`, or the last seen."""
    deadline = time.monotonic() + seconds
    while True:
        seen = costs_at_every_level(dsn)
        if set(seen.values()) == {wanted} or time.monotonic() > deadline:
            return seen
        time.sleep(0.3)
