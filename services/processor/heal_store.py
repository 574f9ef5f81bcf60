"""Heals unpriced events in the database: chunk by chunk, each in one transaction, while events stream in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import structlog

from pricing.entries import PriceBook
from pricing.usage import USAGE_CLASSES
from services.contracts.dimensions import SUM_ROLLUPS
from services.processor import metrics
from services.processor.copying import UNPRICED_COLUMNS, rollup_columns
from services.processor.fetching import AT, UUID, fetch
from services.processor.fold import row_counts
from services.processor.heal import ADJUSTMENT_COLUMNS, HEALED_ROLLUPS, HEALED_RUN_COLUMNS, Healing, heal
from services.processor.kept_connection import KeptConnection, is_the_one
from services.processor.marks import mark_dirty, mark_unmerged
from services.processor.sending import copy_rows

log = structlog.get_logger()
# One healer in the whole system; who holds this session lock is it.
_HEALER_LOCK = 720_310
# A rollup row is written once for more events in larger chunks; a transaction stays near a second.
CHUNK_ROWS = 50_000

# A loose walk over an index: as many steps as there are combinations, however many rows.
_WAITING = (
    "WITH RECURSIVE w AS ((SELECT provider, model, price_book_version FROM unpriced_event ORDER BY 1, 2, 3 LIMIT 1) "
    "UNION ALL SELECT n.* FROM w CROSS JOIN LATERAL (SELECT u.provider, u.model, u.price_book_version "
    "FROM unpriced_event AS u WHERE (u.provider, u.model, u.price_book_version) > "
    "(w.provider, w.model, w.price_book_version) ORDER BY 1, 2, 3 LIMIT 1) AS n) SELECT * FROM w"
)
_KEY = "provider = %(provider)s AND model = %(model)s AND price_book_version = %(version)s"
# Where raw rows or base rows were dropped nothing can be healed, and nothing may be added.
_FLOOR = "SELECT max(complete_from) FROM retention_floor WHERE relation = ANY(%(relations)s)"
_FIRST = (
    "SELECT min(occurred_at) FROM unpriced_event "
    f"WHERE {_KEY} AND occurred_at >= coalesce(%(floor)s::timestamptz, '-infinity')"
)
# Out of the line and together with the raw rows, in one go; what stays without a price is put back. Of one day: that
# is one chunk of raw rows on TimescaleDB, found when the query is planned.
_TAKE = (
    "WITH taken AS (DELETE FROM unpriced_event WHERE ctid = ANY(ARRAY(SELECT ctid FROM unpriced_event "
    f"WHERE {_KEY} AND occurred_at >= %(first)s AND occurred_at < %(until)s ORDER BY occurred_at LIMIT %(rows)s)) "
    "RETURNING occurred_at, tenant_no, event_key) "
    "SELECT COLUMNS FROM taken AS t JOIN usage_event AS e ON e.tenant_no = t.tenant_no AND e.event_key = t.event_key "
    "AND e.occurred_at = t.occurred_at WHERE e.cost_pico_usd IS NULL "
    "AND e.occurred_at >= %(first)s AND e.occurred_at < %(until)s"
)
_TEXTS = (
    "feature", "agent_id", "run_id", "customer_id", "user_id", "channel", "region", "service_tier", "status",
    "prompt_template_id", "tier",
)  # fmt: skip
_COLUMNS = {
    "e.occurred_at": AT,
    "e.tenant_no": pa.int32(),
    "e.event_key": UUID,
    "e.kafka_partition": pa.int16(),
    **{f"e.{name}": pa.string() for name in _TEXTS},
    "coalesce(e.units, '')": pa.string(),
    "e.superseded": pa.bool_(),
    "e.cache_hit": pa.bool_(),
    **{f"e.{name}": pa.int64() for name in USAGE_CLASSES},
}
_TENANT_IDS = "SELECT tenant_no, tenant_id FROM tenant WHERE tenant_no = ANY(%s)"
_STAGE = "CREATE TEMP TABLE stage_healed_run (LIKE run_base INCLUDING DEFAULTS) ON COMMIT DELETE ROWS"
# Sorted like the flushes, which add to the same rows. Found by their key and no other way: asked to join, a planner
# without statistics takes an index that finds all runs of a tenant, for each of them.
_ADD_TO_RUNS = (
    "WITH added AS (INSERT INTO run_base SELECT * FROM stage_healed_run ORDER BY tenant_no, run_id, kafka_partition "
    "ON CONFLICT (tenant_no, run_id, kafka_partition) DO UPDATE SET "
    "unpriced_events = run_base.unpriced_events + EXCLUDED.unpriced_events, "
    "adjustment_pico_usd = run_base.adjustment_pico_usd + EXCLUDED.adjustment_pico_usd "
    "RETURNING tenant_no, run_id, kafka_partition, calls) "
    "SELECT tenant_no, run_id, kafka_partition FROM added WHERE calls = 0"
)
# A run without calls was not there: retention took it, and it stays gone.
_FORGET_RUN = "DELETE FROM run_base WHERE (tenant_no, run_id, kafka_partition) = (%s, %s, %s)"
_COMPLETE = ("usage_event", *(rollup.view(rollup.base_level) for rollup in SUM_ROLLUPS))


@dataclass(frozen=True, slots=True)
class Line:
    """Unpriced events that wait together: of one model, looked at last with the same book."""

    provider: str
    model: str
    version: str


class Healer:
    """One pass per `run_once`. Uses its own connection; not thread-safe. `book` gives the book in force."""

    def __init__(self, dsn: str, book: Callable[[], PriceBook], chunk_rows: int = CHUNK_ROWS) -> None:
        self._connection = KeptConnection(dsn, "healer", stages=(_STAGE,))
        self._book = book
        self._chunk_rows = chunk_rows

    def run_once(self) -> int:
        """Heals everything the book in force has a price for by now; the number of events healed, 0 when another
        process is the healer. Each chunk is a transaction of its own: killed at any moment, the next pass goes on.
        Raises psycopg.Error when the database is away or a deadlock was resolved against it; call again."""
        with self._connection.opened() as connection:
            if not is_the_one(connection, _HEALER_LOCK):
                return 0
            book, healed = self._book(), 0
            floor = _value(connection, _FLOOR, {"relations": list(_COMPLETE)})
            for key in connection.execute(_WAITING).fetchall():
                line = Line(*key)
                if line.version != book.version and book.find(line.provider, line.model) is not None:
                    healed += self._heal_line(connection, book, line, floor)
            return healed

    def close(self) -> None:
        self._connection.close()

    def _heal_line(self, connection: psycopg.Connection, book: PriceBook, line: Line, floor: object) -> int:
        healed = delta = 0
        while True:
            with connection.transaction():
                rows = _take(connection, line, floor, self._chunk_rows)
                if rows is None:
                    break
                chunk_healed, chunk_delta = _heal_rows(connection, line, rows, book)
            healed += chunk_healed
            delta += chunk_delta
            metrics.HEALED.inc(chunk_healed)
        if healed:
            log.info(
                "unpriced events have a price now", **asdict(line), healed=healed, pico_usd=delta, book=book.version
            )
        return healed


def _take(connection: psycopg.Connection, line: Line, floor: object, count: int) -> pa.Table | None:
    """The next rows in line, taken out of it, as storage columns; None when the line is empty.

    Rows in line whose raw row is gone are taken out, too: nothing can price them any more.
    """
    values: dict[str, object] = {**asdict(line), "floor": floor, "rows": count}
    while True:
        first = _value(connection, _FIRST, values)
        if not isinstance(first, datetime):
            return None
        until = first.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        rows = fetch(connection, _TAKE, values | {"first": first, "until": until}, _COLUMNS)
        if rows is not None:
            names = [name.removeprefix("e.") for name in rows.column_names]
            return rows.rename_columns(["units" if "units" in name else name for name in names])


def _heal_rows(connection: psycopg.Connection, line: Line, rows: pa.Table, book: PriceBook) -> tuple[int, int]:
    """One transaction's work: events healed and what they cost together."""
    rows = _with_names(connection, line, rows)
    healing = heal(rows, book)
    if len(healing.healed):
        _write(connection, healing)
    # Back in line: what this book can't price either, for the next book; what is to be asked about again, as it was.
    again = np.ones(len(rows), dtype=bool)
    again[healing.healed] = again[healing.left] = False
    for version, waiting in ((book.version, healing.left), (line.version, np.flatnonzero(again))):
        if len(waiting):
            back = rows.take(pa.array(waiting))
            back = back.append_column("price_book_version", pa.repeat(version, len(back)))
            copy_rows(connection, "unpriced_event", UNPRICED_COLUMNS, back)
    return len(healing.healed), healing.delta_pico_usd


def _write(connection: psycopg.Connection, healing: Healing) -> None:
    copy_rows(connection, "cost_adjustment", ADJUSTMENT_COLUMNS, healing.adjustments)
    for rollup in HEALED_ROLLUPS:
        copy_rows(connection, rollup.base_table, rollup_columns(rollup), healing.rollups[rollup.base_table])
    mark_unmerged(connection, row_counts(healing.rollups))
    if len(healing.runs):
        copy_rows(connection, "stage_healed_run", HEALED_RUN_COLUMNS, healing.runs)
        for key in connection.execute(_ADD_TO_RUNS).fetchall():
            connection.execute(_FORGET_RUN, key)
    mark_dirty(connection, healing.minutes)


def _with_names(connection: psycopg.Connection, line: Line, rows: pa.Table) -> pa.Table:
    """With what pricing asks for besides."""
    tenants = rows.column("tenant_no").combine_chunks().dictionary_encode()
    numbers = tenants.dictionary.to_pylist()
    names: dict[int, str] = dict(connection.execute(_TENANT_IDS, (numbers,)).fetchall())
    tenant_ids = pa.array([names[number] for number in numbers], pa.string())
    added = {
        "tenant_id": pc.take(tenant_ids, tenants.indices),
        "provider": pa.repeat(line.provider, len(rows)),
        "model": pa.repeat(line.model, len(rows)),
    }
    return pa.table({name: rows.column(name) for name in rows.column_names} | added)


def _value(connection: psycopg.Connection, query: str, values: Mapping[str, object]) -> object:
    row = connection.execute(query.encode(), values).fetchone()
    return row[0] if row else None
