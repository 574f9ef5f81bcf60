"""Minutes at a steady rate through Kafka: how long until events are visible, and whether lag and memory stay flat."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

import psutil
import psycopg
from confluent_kafka import Producer

from services.runtime.embedded.backends import Backends
from tests.backends import fresh_database, fresh_topics
from tests.bench.latency import BATCH_EVENTS, Watched, kafka_send, send_and_watch
from tests.bench.resources import backend_pids
from tests.bench.services import Running, service, wait_ready

_SAMPLE_SECONDS = 1.0
# Figures are medians over so many seconds at the start (after the first ten), in the middle and at the end.
_WINDOW_SECONDS = 30
_WARM_UP_SECONDS = 10
_MEGABYTE = 1 << 20
_READ = "SELECT coalesce(sum(events_read), 0)::bigint FROM ledger"
_CONNECTIONS = (
    "SELECT array_agg(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
_COUNTED = (
    "SELECT sum(counted)::bigint, (SELECT count(*) FROM usage_event), "
    "sum(duplicate + dead_lettered)::bigint FROM ledger"
)
_DAYS = "SELECT sum(calls)::bigint FROM usage_day"


@dataclass(frozen=True, slots=True)
class Sample:
    """One second. Memory of connections is what each holds alone, without the shared buffers."""

    lag_events: int
    processor_megabytes: float
    connections: int
    connections_megabytes: float


@dataclass
class Sampling(threading.Thread):
    """Samples until `stop`."""

    dsn: str
    processor: int
    local: bool
    watched: Watched
    samples: list[Sample] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        self._stopping = threading.Event()

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        process = psutil.Process(self.processor)
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            while not self._stopping.wait(_SAMPLE_SECONDS):
                sent = sum(batches[-1][1] for batches in self.watched.sent.values() if batches)
                lag = sent - _first(connection, _READ)
                pids = connection.execute(_CONNECTIONS).fetchone()
                alone = [_private_bytes(pid) for pid in (pids[0] or [])] if pids and self.local else []
                count = len(pids[0] or []) if pids else 0
                rss = process.memory_info().rss / _MEGABYTE
                self.samples.append(Sample(lag, rss, count, sum(alone) / _MEGABYTE))

    def stop(self) -> None:
        self._stopping.set()
        self.join()


def measure(backends: Backends, rate: int, seconds: float) -> Iterator[str]:
    """Two tables: visibility, and what was in use at the start, in the middle and at the end."""
    with (
        fresh_database(backends.database_dsn) as dsn,
        fresh_topics(backends.kafka_bootstrap) as topics,
        service("query", backends, dsn, topics) as query,
        service("processor", backends, dsn, topics) as processor,
    ):
        wait_ready(processor)
        producer = Producer({"bootstrap.servers": backends.kafka_bootstrap, "acks": "all", "linger.ms": 2})
        watched = Watched()
        sampling = Sampling(dsn, processor.process.pid, "database" in backend_pids(backends), watched)
        sampling.start()
        reached = send_and_watch(watched, kafka_send(producer, topics.usage_events.name), query, rate, seconds)
        sampling.stop()
        _check(dsn, processor, int(rate * seconds) // BATCH_EVENTS * BATCH_EVENTS)
    delays = watched.delays()
    yield "| what | events/s | sent → visible p50 ms | p99 ms | most ms | totals |"
    yield "|---|---:|---:|---:|---:|---|"
    shown = (delays[len(delays) // 2], delays[len(delays) * 99 // 100], delays[-1])
    yield f"| Kafka, {seconds:.0f} s | {reached:,.0f} | {' | '.join(f'{d * 1e3:.0f}' for d in shown)} | exact |"
    yield ""
    yield "| when | events behind, median (most) | processor MB | connections | their own memory MB |"
    yield "|---|---:|---:|---:|---:|"
    for name, samples in _windows(sampling.samples[: int(seconds / _SAMPLE_SECONDS)]):
        yield _line(name, samples)


def _windows(samples: Sequence[Sample]) -> Iterator[tuple[str, Sequence[Sample]]]:
    wide = max(1, min(_WINDOW_SECONDS, len(samples) // 4))
    first, middle = min(_WARM_UP_SECONDS, len(samples) // 10), len(samples) // 2
    yield "start", samples[first : first + wide]
    yield "middle", samples[middle - wide // 2 : middle - wide // 2 + wide]
    yield "end", samples[-wide:]


def _line(name: str, samples: Sequence[Sample]) -> str:
    lags = [sample.lag_events for sample in samples]
    own = median(sample.connections_megabytes for sample in samples)
    return (
        f"| {name} | {median(lags):,.0f} ({max(lags):,}) | {median(s.processor_megabytes for s in samples):.0f} | "
        f"{median(s.connections for s in samples):.0f} | {own:.0f} |"
    )


def _check(dsn: str, processor: Running, sent: int) -> None:
    """Everything that was sent is counted, once, in the ledger, the raw rows and the days."""
    processor.check()
    with psycopg.connect(dsn, autocommit=True) as connection:
        found = connection.execute(_COUNTED).fetchone()
        assert found == (sent, sent, 0), f"{found} of {sent}"
        assert _first(connection, _DAYS) == sent


def _private_bytes(pid: int) -> int:
    """0 for a process that has ended meanwhile."""
    try:
        return int(psutil.Process(pid).memory_full_info().uss)
    except psutil.NoSuchProcess:
        return 0


def _first(connection: psycopg.Connection, query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])
