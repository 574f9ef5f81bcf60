"""Where each microsecond goes: flush after flush without Kafka, CPU of the preparing thread by step and of the
database's backend by statement. CPU, not time: neighbours on the machine disturb it little."""

from __future__ import annotations

import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import psycopg

from pricing.book import load_book
from pricing.entries import PriceBook
from services.processor import store as store_module
from services.processor.admit import admit
from services.processor.batch import Decoded, Message
from services.processor.decode import decode
from services.processor.fold import fold, runs
from services.processor.identify import identify
from services.processor.ledger import Stream
from services.processor.prepare import Flush, encode, number
from services.processor.price import price
from services.processor.store import Store
from services.processor.tenants import Tenants
from services.runtime.embedded.backends import Backends
from tests.backends import fresh_database
from tests.bench.mix import Mix

T = TypeVar("T")
_FLUSH_MESSAGES = 72
_PARTITIONS = 6
_SHOWN_MICROSECONDS = 0.02


def measure(backends: Backends, events: int) -> Iterator[str]:
    """Two columns of the same flushes, µs an event; the first flush warms up. The database is on this machine."""
    flushes = list(_flushes(events))
    steps, statements = defaultdict[str, float](float), defaultdict[str, float](float)
    counted = 0
    with fresh_database(backends.database_dsn) as dsn:
        tenants, store = Tenants(dsn), Store(dsn, Stream("bench", "bench", "bench"), lambda _: None)
        store.claim(range(_PARTITIONS))
        pid, book = store.connection().info.backend_pid, load_book()
        for index, messages in enumerate(flushes):
            flush = _prepared(messages, book, tenants, steps)
            with _Timed(pid, statements):
                applied = store.apply(flush)
            if index:
                counted += applied.counted
            else:
                steps.clear()
                statements.clear()
        store.close()
    yield f"{counted:,} events, {len(flushes[0])} messages a flush"
    yield ""
    yield "| preparing | CPU µs | | storing | CPU µs |"
    yield "|---|---:|---|---|---:|"
    left = [(name, used / counted * 1e6) for name, used in steps.items()]
    right = [(name, used / counted * 1e6) for name, used in sorted(statements.items(), key=lambda item: -item[1])]
    right = [(name, used) for name, used in right if used >= _SHOWN_MICROSECONDS]
    for row in range(max(len(left), len(right))):
        yield f"| {_cell(left, row)} | | {_cell(right, row)} |"
    together = [f"**together** | **{sum(used.values()) / counted * 1e6:.1f}**" for used in (steps, statements)]
    yield f"| {' | | '.join(together)} |"


def _cell(rows: Sequence[tuple[str, float]], row: int) -> str:
    return f"{rows[row][0]} | {rows[row][1]:.2f}" if row < len(rows) else " | "


def _flushes(events: int) -> Iterator[Sequence[Message]]:
    now, messages, offsets = time.time_ns() // 1_000, [], Counter[int]()
    for tenant, batch in Mix(now).batches(events):
        partition = zlib.crc32(tenant.encode()) % _PARTITIONS
        messages.append(Message(partition, offsets[partition], now, batch.SerializeToString()))
        offsets[partition] += 1
    for start in range(0, len(messages), _FLUSH_MESSAGES):
        yield messages[start : start + _FLUSH_MESSAGES]


def _prepared(messages: Sequence[Message], book: PriceBook, tenants: Tenants, steps: dict[str, float]) -> Flush:
    """`prepare`, with a clock at each step."""

    def timed(name: str, step: Callable[[], T]) -> T:
        started = time.thread_time()
        result = step()
        steps[name] += time.thread_time() - started
        return result

    decoded: Decoded = timed("decode", lambda: decode(messages))
    timed("admit", lambda: admit(decoded))
    timed("identify", lambda: identify(decoded))
    timed("price", lambda: price(decoded, book))
    timed("number", lambda: number(decoded, tenants.numbers))
    # `encode` folds as well.
    before = steps["fold"]
    timed("fold", lambda: (fold(decoded.table), runs(decoded.table)))
    flush = timed("encode for COPY", lambda: encode(decoded))
    steps["encode for COPY"] -= steps["fold"] - before
    return flush


class _Timed:
    """Within it, the CPU that the backend uses during each statement and each COPY of the store is added up."""

    def __init__(self, pid: int, used: dict[str, float]) -> None:
        self._schedstat, self._used = Path(f"/proc/{pid}/schedstat"), used
        self._copy: Callable[..., None] = vars(store_module)["copy"]
        self._execute: Callable[..., Any] = psycopg.Connection.execute

    def __enter__(self) -> None:
        def copy(connection: Any, table: str, *rest: Any) -> None:  # noqa: ANN401
            self._add(f"COPY {table}", lambda: self._copy(connection, table, *rest))

        def execute(connection: Any, query: Any, *rest: Any, **options: Any) -> Any:  # noqa: ANN401
            name = " ".join(str(query).split()[:3])
            return self._add(name, lambda: self._execute(connection, query, *rest, **options))

        self._set(copy, execute)

    def __exit__(self, *exception: object) -> None:
        self._set(self._copy, self._execute)

    def _set(self, copy: object, execute: object) -> None:
        vars(store_module)["copy"] = copy
        psycopg.Connection.execute = execute  # type: ignore[method-assign, assignment]

    def _add(self, name: str, work: Callable[[], T]) -> T:
        before = self._seconds()
        result = work()
        self._used[name] += self._seconds() - before
        return result

    def _seconds(self) -> float:
        return int(self._schedstat.read_text().split()[0]) / 1e9
