"""Heals unpriced events in the database: chunk by chunk, each in one transaction, while events stream in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import structlog

from pricing.entries import PriceBook
from services.contracts.dimensions import SUM_ROLLUPS
from services.processor import metrics
from services.processor.copying import rollup_columns
from services.processor.fold import row_counts
from services.processor.heal import ADJUSTMENT_COLUMNS, HEALED_ROLLUPS, HEALED_RUN_COLUMNS, Healing, heal
from services.processor.kept_connection import KeptConnection, is_the_one
from services.processor.marks import mark_dirty, mark_unmerged
from services.processor.sending import copy_rows
from services.processor.unpriced_lines import Line, lines, put_back, take, value

log = structlog.get_logger()
# One healer in the whole system; who holds this session lock is it.
_HEALER_LOCK = 720_310
# A rollup row is written once for more events in larger chunks; a transaction stays near a second.
CHUNK_ROWS = 50_000

# Where raw rows or base rows were dropped nothing can be healed, and nothing may be added.
_FLOOR = "SELECT max(complete_from) FROM retention_floor WHERE relation = ANY(%(relations)s)"
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
            floor = value(connection, _FLOOR, {"relations": list(_COMPLETE)})
            for line in lines(connection):
                if line.version != book.version and book.find(line.provider, line.model) is not None:
                    healed += self._heal_line(connection, book, line, floor)
            return healed

    def close(self) -> None:
        self._connection.close()

    def _heal_line(self, connection: psycopg.Connection, book: PriceBook, line: Line, floor: object) -> int:
        healed = delta = 0
        while True:
            with connection.transaction():
                rows = take(connection, line, floor, self._chunk_rows)
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


def _heal_rows(connection: psycopg.Connection, line: Line, rows: pa.Table, book: PriceBook) -> tuple[int, int]:
    """One transaction's work: events healed and what they cost together."""
    rows = _with_names(connection, line, rows)
    healing = heal(rows, book)
    if len(healing.healed):
        _write(connection, healing)
    # What this book can't price either waits for the next; what is to be asked about again waits as it did.
    again = np.ones(len(rows), dtype=bool)
    again[healing.healed] = again[healing.left] = False
    put_back(connection, rows.take(pa.array(healing.left)), book.version)
    put_back(connection, rows.take(pa.array(np.flatnonzero(again))), line.version)
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
