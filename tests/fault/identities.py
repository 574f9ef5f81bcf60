"""What must hold at any moment and at the end, in SQL of the tests' own."""

from __future__ import annotations

import threading
from collections import defaultdict
from datetime import datetime
from decimal import Decimal

import psycopg
from confluent_kafka import Consumer, TopicPartition
from google.protobuf.message import DecodeError

from services.contracts.stubs.spendstream.v1 import usage_pb2
from tests.ledger import Books

PICO = Decimal(10**12)
_DIRTY = "SELECT date_bin('{width}', bucket, 'epoch'::timestamptz) FROM dirty_bucket"
_MINUTES = (
    "SELECT coalesce(sum(calls), 0), coalesce(sum(billed_pico_usd), 0) FROM usage_minute "
    "WHERE date_bin('{width}', bucket, 'epoch'::timestamptz) NOT IN (" + _DIRTY + ")"
)
_LEVEL = (
    'SELECT coalesce(sum(calls), 0), coalesce(sum(billed_pico_usd), 0) FROM "usage_{level}" '
    "WHERE bucket NOT IN (" + _DIRTY + ")"
)
_WIDTHS = {"15m": "15 minutes", "hour": "1 hour", "day": "1 day"}


def differences(dsn: str) -> list[str]:
    """The identities that don't hold in one snapshot of the database; raises psycopg.Error when it is away."""
    with psycopg.connect(dsn, connect_timeout=3) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")

        def row(query: str) -> tuple[int, ...]:
            found = connection.execute(query).fetchone()
            return tuple(int(value) for value in found) if found else ()

        raw = row("SELECT count(*), coalesce(sum(cost_pico_usd), 0) FROM usage_event")
        pairs = [
            ("counted = raw rows", row("SELECT coalesce(sum(counted), 0) FROM ledger"), raw[:1]),
            ("identities = raw rows", row("SELECT count(*) FROM event_identity"), raw[:1]),
            ("each identity once", row("SELECT count(DISTINCT (tenant_no, event_key)) FROM usage_event"), raw[:1]),
            (
                "minutes = raw",
                row(_MINUTES.replace("NOT IN (" + _DIRTY + ")", "IS NOT NULL").format(width="1 day")),
                raw,
            ),
        ]
        for level, width in _WIDTHS.items():
            pairs.append(
                (f"{level} = minutes", row(_LEVEL.format(level=level, width=width)), row(_MINUTES.format(width=width)))
            )
        return [f"{name}: {found} is not {wanted}" for name, found, wanted in pairs if found != wanted]


class Sampler(threading.Thread):
    """Checks the identities over and over while things break."""

    def __init__(self, dsn: str, every_seconds: float = 0.4) -> None:
        super().__init__(name="sampler", daemon=True)
        self._dsn = dsn
        self._every_seconds = every_seconds
        self._stopping = threading.Event()
        self.samples = 0
        self.found: list[str] = []

    def run(self) -> None:
        while not self._stopping.wait(self._every_seconds):
            try:
                self.found += differences(self._dsn)
                self.samples += 1
            except psycopg.Error:  # the database is what is broken just now, or being restored
                continue

    def stop(self) -> None:
        self._stopping.set()
        self.join(10)


def assert_books_agree(dsn: str, books: Books) -> None:
    """Every tenant and every hour as the producer has it."""
    with psycopg.connect(dsn) as connection:
        tenants = connection.execute(
            "SELECT tenant_id, sum(calls)::bigint, sum(billed_pico_usd), sum(input_uncached + cache_read)::bigint, "
            "sum(output_text)::bigint FROM usage_day JOIN tenant USING (tenant_no) GROUP BY tenant_id"
        ).fetchall()
        hours = connection.execute("SELECT bucket, sum(billed_pico_usd) FROM usage_hour GROUP BY bucket").fetchall()
    found = {tenant: (calls, cost / PICO, prompt, completion) for tenant, calls, cost, prompt, completion in tenants}
    assert found == {
        tenant: (t.calls, t.cost_usd, t.prompt_tokens, t.completion_tokens) for tenant, t in books.by_tenant.items()
    }
    by_hour: dict[datetime, Decimal] = {bucket: cost / PICO for bucket, cost in hours}
    assert by_hour == books.by_hour


def events_in_log(bootstrap: str, topic: str) -> dict[int, int]:
    """Events by partition, counted by a plain consumer that reads all of the log; an undecodable message is one."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "oracle", "enable.auto.commit": False})
    counts: dict[int, int] = defaultdict(int)
    for partition in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
        at, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
        consumer.assign([TopicPartition(topic, partition, at)])
        while at < end:
            message = consumer.poll(10)
            assert message is not None and message.error() is None, "the log can be read"
            at = (message.offset() or 0) + 1
            counts[partition] += _events(message.value() or b"")
    consumer.close()
    return dict(counts)


def _events(value: bytes) -> int:
    try:
        return len(usage_pb2.UsageBatchEnvelope.FromString(value).events)
    except DecodeError:
        return 1


def assert_all_read(dsn: str, bootstrap: str, topic: str) -> None:
    """Read from Kafka = counted + duplicate + dead-lettered + quarantined, by partition."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT kafka_partition, counted + duplicate + dead_lettered + quarantined FROM ledger WHERE topic = %s",
            (topic,),
        ).fetchall()
    assert {p: n for p, n in rows if n} == {p: n for p, n in events_in_log(bootstrap, topic).items() if n}
