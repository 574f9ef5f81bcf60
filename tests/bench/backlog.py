"""How fast a backlog gets from Kafka into committed rows and rollups, beside a plain Faust agent's rate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from confluent_kafka import Producer

from services.runtime.embedded.backends import Backends
from tests.backends import fresh_database, fresh_topics
from tests.bench import naive_agent
from tests.bench.mix import Mix
from tests.bench.resources import Cpu, backend_pids, peak_megabytes
from tests.bench.services import Running, environment, free_port, running, service

_POLL_SECONDS = 0.01
_SECONDS_MAX = 170.0
_READ = "SELECT coalesce(sum(counted + duplicate + dead_lettered + quarantined), 0) FROM ledger"
_NAIVE_READ = "SELECT count(*) FROM naive_event"


@dataclass(frozen=True, slots=True)
class Timing:
    """From the first committed event on: what was committed before it is not in `events`."""

    events: int
    seconds: float
    cpu_seconds: dict[str, float]
    peak_megabytes: float

    @property
    def rate(self) -> float:
        return self.events / self.seconds

    def cpu_per_million(self) -> str:
        each = (f"{name} {used / self.events * 1e6:.1f}" for name, used in self.cpu_seconds.items())
        return ", ".join(each)


def measure(
    backends: Backends, events: int, naive_events: int, duplicate_shares: Iterable[float], shuffled: bool
) -> Iterator[str]:
    """Runs all, yields lines of a table as they come."""
    yield "| what | events/s | × naive | CPU-seconds per million events | peak MB | totals |"
    yield "|---|---:|---:|---|---:|---|"
    naive = run_naive(backends, naive_events)
    yield _line(f"naive Faust agent, {naive_events:,} events", naive, naive, "–")
    for share in duplicate_shares:
        timing = run_processor(backends, events, share, shuffled)
        order = "shuffled" if shuffled else "in order"
        yield _line(f"processor, {events:,} events {order}, {share:.1%} duplicates", timing, naive, "exact")


def _line(what: str, timing: Timing, naive: Timing, totals: str) -> str:
    cpu, ratio = timing.cpu_per_million(), timing.rate / naive.rate
    return f"| {what} | {timing.rate:,.0f} | {ratio:.1f} | {cpu} | {timing.peak_megabytes:.0f} | {totals} |"


def run_processor(backends: Backends, events: int, duplicate_share: float, shuffled: bool) -> Timing:
    """One backlog; raises AssertionError when the totals are not those of the producer's books."""
    mix = Mix(time.time_ns() // 1_000, shuffled=shuffled)
    with fresh_database(backends.database_dsn) as dsn, fresh_topics(backends.kafka_bootstrap) as topics:
        values = ((tenant, batch.SerializeToString()) for tenant, batch in mix.batches(events, duplicate_share))
        produce(backends.kafka_bootstrap, topics.usage_events.name, values)
        with (
            service("processor", backends, dsn, topics) as processor,
            psycopg.connect(dsn, autocommit=True) as connection,
        ):
            timing = _time(backends, processor, lambda: _number(connection, _READ), events)
            check_totals(connection, mix)
    return timing


def run_naive(backends: Backends, events: int) -> Timing:
    mix = Mix(time.time_ns() // 1_000)
    with fresh_database(backends.database_dsn) as dsn, fresh_topics(backends.kafka_bootstrap) as topics:
        values = ((t, event.SerializeToString()) for t, batch in mix.batches(events) for event in batch.events)
        produce(backends.kafka_bootstrap, topics.usage_events.name, values)
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(naive_agent.TABLE)
            with running("tests.bench.naive_agent", environment(backends, dsn, topics, free_port()), 0) as agent:
                return _time(backends, agent, lambda: _number(connection, _NAIVE_READ), events, poll_seconds=0.1)


def produce(bootstrap: str, topic: str, values: Iterable[tuple[str, bytes]]) -> None:
    """(key, value) pairs; returns when the broker has them all."""
    producer = Producer(
        {"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 20, "message.max.bytes": 4_000_000}
    )
    failed: list[str] = []
    for key, value in values:
        while True:
            try:
                producer.produce(topic, value, key, on_delivery=lambda e, _: failed.append(str(e)) if e else None)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    assert producer.flush(60) == 0
    assert not failed, failed[0]


def _time(
    backends: Backends, process: Running, read: Callable[[], int], events: int, poll_seconds: float = _POLL_SECONDS
) -> Timing:
    cpu = Cpu({"processor": process.process.pid} | backend_pids(backends))
    deadline = time.monotonic() + _SECONDS_MAX
    before = 0
    while not before:
        before = _checked(process, read, deadline, poll_seconds)
    started = time.monotonic()
    cpu.start()
    seen = before
    while seen < events:
        seen = _checked(process, read, deadline, poll_seconds)
    assert seen > before, "everything came with the first commit: more events are needed"
    return Timing(events - before, time.monotonic() - started, cpu.used(), peak_megabytes(process.process.pid))


def _checked(process: Running, read: Callable[[], int], deadline: float, poll_seconds: float) -> int:
    process.check()
    if time.monotonic() > deadline:
        raise TimeoutError(f"{read()} events read after {_SECONDS_MAX:.0f} s:\n{process.log.read_text()[-3000:]}")
    time.sleep(poll_seconds)
    return read()


def _number(connection: psycopg.Connection[Any], query: str) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def check_totals(connection: psycopg.Connection[Any], mix: Mix) -> None:
    """Raw rows and rollups against the books, to the last pico-dollar and token."""
    wanted = {
        tenant: (t.calls, t.prompt_tokens, t.completion_tokens, t.cost_pico_usd) for tenant, t in mix.totals.items()
    }
    for table, calls, cost in (
        ("usage_event", "count(*)", "cost_pico_usd"),
        ("usage_minute", "sum(calls)", "billed_pico_usd"),
        ("usage_day", "sum(calls)", "billed_pico_usd"),
    ):
        if table == "usage_day":
            _wait_refreshed(connection)
        rows = connection.execute(
            f"SELECT tenant_id, {calls}, sum(input_uncached + cache_read), sum(output_text), sum({cost}) "
            f"FROM {table} JOIN tenant USING (tenant_no) GROUP BY tenant_id"
        ).fetchall()
        found = {tenant: tuple(map(int, figures)) for tenant, *figures in rows}
        assert found == wanted, f"{table} differs from the books"
    assert _number(connection, "SELECT sum(duplicate) FROM ledger") == mix.duplicates


def _wait_refreshed(connection: psycopg.Connection[Any]) -> None:
    deadline = time.monotonic() + 60
    while _number(connection, "SELECT count(*) FROM dirty_bucket"):
        assert time.monotonic() < deadline, "buckets stay dirty"
        time.sleep(0.2)
