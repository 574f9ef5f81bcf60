"""How many bytes an event takes up in the database, by relation: what the disk has to hold."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg

from services.runtime.embedded.backends import Backends
from tests.backends import fresh_database, fresh_topics
from tests.bench.backlog import check_totals, produce
from tests.bench.mix import Mix
from tests.bench.services import service

_SECONDS_MAX = 170.0
# Tables with their indexes; a hypertable's chunks belong to it.
_SIZES = """
SELECT name, sum(bytes)::bigint FROM (
  SELECT coalesce(parent.relname, child.relname) AS name, pg_total_relation_size(child.oid) AS bytes
  FROM pg_class child
  JOIN pg_namespace space ON space.oid = child.relnamespace
  LEFT JOIN pg_inherits ON inhrelid = child.oid
  LEFT JOIN pg_class parent ON parent.oid = inhparent
  WHERE child.relkind = 'r' AND space.nspname IN ('public', '_timescaledb_internal')
) AS sizes GROUP BY name ORDER BY 2 DESC
"""
_SHOWN = 12


def measure(backends: Backends, events: int) -> Iterator[str]:
    """`events` of the mix, fed through the processor; raises AssertionError when the totals aren't the producer's."""
    mix = Mix(time.time_ns() // 1_000)
    with fresh_database(backends.database_dsn) as dsn, fresh_topics(backends.kafka_bootstrap) as topics:
        sent = 0

        def values() -> Iterator[tuple[str, bytes]]:
            nonlocal sent
            for tenant, batch in mix.batches(events):
                value = batch.SerializeToString()
                sent += len(value)
                yield tenant, value

        produce(backends.kafka_bootstrap, topics.usage_events.name, values())
        with service("processor", backends, dsn, topics), psycopg.connect(dsn, autocommit=True) as connection:
            _wait_counted(connection, events)
            check_totals(connection, mix)
            sizes = connection.execute(_SIZES).fetchall()
    yield f"{events:,} events of {len(mix.totals)} tenants within ten minutes.\n"
    yield "| relation, with its indexes | bytes an event |"
    yield "|---|---:|"
    for name, size in sizes[:_SHOWN]:
        yield f"| {name} | {size / events:.1f} |"
    yield f"| the others | {sum(size for _, size in sizes[_SHOWN:]) / events:.1f} |"
    yield f"| **the database together** | **{sum(size for _, size in sizes) / events:.0f}** |"
    yield f"| protobuf, before Kafka packs it | {sent / events:.0f} |"


def _wait_counted(connection: psycopg.Connection[tuple[int]], events: int) -> None:
    deadline = time.monotonic() + _SECONDS_MAX
    while True:
        row = connection.execute("SELECT coalesce(sum(counted), 0)::bigint FROM ledger").fetchone()
        assert row is not None
        if row[0] >= events:
            return
        assert time.monotonic() < deadline, f"{row[0]} of {events} events are counted"
        time.sleep(0.2)
