"""Heals unpriced events in the database: chunk by chunk, each in one transaction, while events stream in."""

from __future__ import annotations

import io
from collections.abc import Callable

import psycopg
import pyarrow as pa
import pyarrow.csv as pc_csv
import structlog

from pricing.entries import PriceBook
from pricing.usage import USAGE_CLASSES
from services.contracts.dimensions import SUM_ROLLUPS
from services.processor import metrics
from services.processor.copying import rollup_columns
from services.processor.fold import row_counts
from services.processor.heal import ADJUSTMENT_COLUMNS, HEALED_ROLLUPS, HEALED_RUN_COLUMNS, Healing, heal
from services.processor.marks import mark_dirty, mark_unmerged
from services.processor.sending import copy_rows

log = structlog.get_logger()
# One healer in the whole system; who holds this session lock is it.
_HEALER_LOCK = 720_310
# A rollup row is written once for more events in larger chunks; a transaction stays near a second.
CHUNK_ROWS = 30_000

# A loose walk over an index: as many steps as there are combinations, however many rows.
_WAITING = (
    "WITH RECURSIVE w AS ((SELECT provider, model, price_book_version FROM unpriced_event ORDER BY 1, 2, 3 LIMIT 1) "
    "UNION ALL SELECT n.* FROM w CROSS JOIN LATERAL (SELECT u.provider, u.model, u.price_book_version "
    "FROM unpriced_event AS u WHERE (u.provider, u.model, u.price_book_version) > "
    "(w.provider, w.model, w.price_book_version) ORDER BY 1, 2, 3 LIMIT 1) AS n) SELECT * FROM w"
)
_KEY = "u.provider = %(provider)s AND u.model = %(model)s AND u.price_book_version = %(version)s"
# Where raw rows or base rows were dropped nothing can be healed, and nothing may be added.
_FLOOR = "SELECT max(complete_from) FROM retention_floor WHERE relation = ANY(%s)"
_SPAN = (
    "SELECT min(occurred_at), max(occurred_at) FROM (SELECT occurred_at FROM unpriced_event AS u "
    f"WHERE {_KEY} AND occurred_at >= coalesce(%(floor)s::timestamptz, '-infinity') "
    "ORDER BY occurred_at LIMIT %(rows)s) AS s"
)
_TEXTS = (
    "place", "key_hex", "tenant_id", "provider", "model", "feature", "agent_id", "run_id", "customer_id", "user_id",
    "channel", "region", "service_tier", "status", "prompt_template_id", "tier", "units",
)  # fmt: skip
_FLAGS = ("superseded", "cache_hit")
_NUMBERS = ("occurred_us", *USAGE_CLASSES)
_AS_THEY_ARE = ", ".join(f"e.{name}" for name in (*_TEXTS[3:], *USAGE_CLASSES))
# Bounds given as values: on TimescaleDB they leave chunks out when the query is planned.
_ROWS = (
    "COPY (WITH picked AS MATERIALIZED (SELECT u.ctid AS place, u.occurred_at, u.tenant_no, u.event_key "
    f"FROM unpriced_event AS u WHERE {_KEY} AND u.occurred_at BETWEEN %(first)s AND %(last)s "
    "ORDER BY u.occurred_at LIMIT %(rows)s) "
    f"SELECT p.place::text AS place, encode(uuid_send(p.event_key), 'hex') AS key_hex, t.tenant_id, {_AS_THEY_ARE}, "
    "e.superseded::int AS superseded, e.cache_hit::int AS cache_hit, e.tenant_no, e.kafka_partition, "
    "(extract(epoch FROM p.occurred_at) * 1000000)::bigint AS occurred_us, e.event_key IS NOT NULL AS there "
    "FROM picked AS p JOIN tenant AS t USING (tenant_no) LEFT JOIN usage_event AS e ON e.tenant_no = p.tenant_no "
    "AND e.event_key = p.event_key AND e.occurred_at = p.occurred_at AND e.cost_pico_usd IS NULL "
    "AND e.occurred_at BETWEEN %(first)s AND %(last)s) TO STDOUT (FORMAT csv, HEADER)"
)
_TYPES = {
    **dict.fromkeys(_TEXTS, pa.string()),
    **dict.fromkeys(_NUMBERS, pa.int64()),
    **dict.fromkeys(_FLAGS, pa.int8()),
    "tenant_no": pa.int32(),
    "kafka_partition": pa.int16(),
    "there": pa.string(),
}
_HEALED = "DELETE FROM unpriced_event WHERE ctid = ANY(%s::tid[])"
_LOOKED_AT = "UPDATE unpriced_event SET price_book_version = %s WHERE ctid = ANY(%s::tid[])"
_STAGE = (
    "CREATE TEMP TABLE stage_healed_run (tenant_no integer, run_id text, kafka_partition smallint, "
    "unpriced_events bigint, adjustment_pico_usd bigint) ON COMMIT DELETE ROWS"
)
# Only where the run is still there; sorted like the flushes, which add to the same rows.
_ADD_TO_RUNS = (
    "INSERT INTO run_base SELECT r.tenant_no, r.run_id, r.kafka_partition, r.agent_id, r.started_at, r.ended_at, 0, "
    "s.unpriced_events, 0, s.adjustment_pico_usd FROM stage_healed_run AS s "
    "JOIN run_base AS r USING (tenant_no, run_id, kafka_partition) ORDER BY r.tenant_no, r.run_id, r.kafka_partition "
    "ON CONFLICT (tenant_no, run_id, kafka_partition) DO UPDATE SET "
    "unpriced_events = run_base.unpriced_events + EXCLUDED.unpriced_events, "
    "adjustment_pico_usd = run_base.adjustment_pico_usd + EXCLUDED.adjustment_pico_usd"
)
_COMPLETE = ("usage_event", *(rollup.view(rollup.base_level) for rollup in SUM_ROLLUPS))


class Healer:
    """One pass per `run_once`. Uses its own connection; not thread-safe. `book` gives the book in force."""

    def __init__(self, dsn: str, book: Callable[[], PriceBook], chunk_rows: int = CHUNK_ROWS) -> None:
        self._dsn = dsn
        self._book = book
        self._chunk_rows = chunk_rows
        self._connection: psycopg.Connection | None = None

    def run_once(self) -> int:
        """Heals everything the book in force has a price for by now; the number of events healed, 0 when another
        process is the healer. Each chunk is a transaction of its own: killed at any moment, the next pass goes on.
        Raises psycopg.Error when the database is away or a deadlock was resolved against it; call again."""
        try:
            connection = self._connected()
            if not _is_the_one(connection):
                return 0
            book, healed = self._book(), 0
            floor = _value(connection, _FLOOR, (list(_COMPLETE),))
            for provider, model, version in connection.execute(_WAITING).fetchall():
                if version != book.version and book.find(provider, model) is not None:
                    healed += self._heal_model(connection, book, (provider, model, version), floor)
            return healed
        except psycopg.Error:
            self.close()
            raise

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connected(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            connection = psycopg.connect(
                self._dsn, autocommit=True, options="-c timezone=UTC", application_name="healer"
            )
            connection.execute(_STAGE)
            self._connection = connection
        return self._connection

    def _heal_model(
        self, connection: psycopg.Connection, book: PriceBook, key: tuple[str, str, str], floor: object
    ) -> int:
        names = dict(zip(("provider", "model", "version"), key, strict=True))
        healed = delta = 0
        while True:
            with connection.transaction():
                rows = self._read(connection, {**names, "floor": floor, "rows": self._chunk_rows})
                if rows is None:
                    break
                chunk_healed, chunk_delta = _heal_rows(connection, rows, book)
            healed += chunk_healed
            delta += chunk_delta
            metrics.HEALED.inc(chunk_healed)
        if healed:
            log.info("unpriced events have a price now", **names, healed=healed, pico_usd=delta, book=book.version)
        return healed

    def _read(self, connection: psycopg.Connection, values: dict[str, object]) -> pa.Table | None:
        """The next rows in line with their raw columns, or None when none are left."""
        span = connection.execute(_SPAN, values).fetchone()
        if span is None or span[0] is None:
            return None
        values |= {"first": span[0], "last": span[1]}
        buffer = io.BytesIO()
        with connection.cursor().copy(_ROWS, values) as copy:
            for block in copy:
                buffer.write(block)
        buffer.seek(0)
        options = pc_csv.ConvertOptions(column_types=_TYPES, strings_can_be_null=False)
        return pc_csv.read_csv(buffer, convert_options=options)


def _heal_rows(connection: psycopg.Connection, rows: pa.Table, book: PriceBook) -> tuple[int, int]:
    """One transaction's work: events healed and what they cost together."""
    places = rows.column("place").to_pylist()
    there = [row for row, value in enumerate(rows.column("there").to_pylist()) if value == "t"]
    healing = heal(_storage_columns(rows.take(pa.array(there, pa.int64()))), book)
    healed = [places[there[row]] for row in healing.healed]
    if healed:
        _write(connection, healing)
        connection.execute(_HEALED, (healed,))
    # Raw rows that retention took meanwhile count as looked at, too.
    gone = set(range(len(rows))) - set(there)
    left = [places[row] for row in sorted({*gone, *(there[row] for row in healing.left)})]
    if left:
        connection.execute(_LOOKED_AT, (book.version, left))
    return len(healed), healing.delta_pico_usd


def _write(connection: psycopg.Connection, healing: Healing) -> None:
    copy_rows(connection, "cost_adjustment", ADJUSTMENT_COLUMNS, healing.adjustments)
    for rollup in HEALED_ROLLUPS:
        copy_rows(connection, rollup.base_table, rollup_columns(rollup), healing.rollups[rollup.base_table])
    mark_unmerged(connection, row_counts(healing.rollups))
    if len(healing.runs):
        copy_rows(connection, "stage_healed_run", HEALED_RUN_COLUMNS, healing.runs)
        connection.execute(_ADD_TO_RUNS)
    mark_dirty(connection, healing.minutes)


def _storage_columns(rows: pa.Table) -> pa.Table:
    """What came as text back into the types of storage."""
    keys = bytes.fromhex("".join(rows.column("key_hex").to_pylist()))
    key_type = pa.binary(16)
    event_key = pa.FixedSizeBinaryArray.from_buffers(key_type, len(rows), [None, pa.py_buffer(keys)])
    columns = {name: rows.column(name) for name in (*_TEXTS[2:], *USAGE_CLASSES, "tenant_no", "kafka_partition")}
    columns |= {name: rows.column(name).cast(pa.bool_()) for name in _FLAGS}
    columns |= {"occurred_at": rows.column("occurred_us").cast(pa.timestamp("us", "UTC")), "event_key": event_key}
    return pa.table(columns)


def _is_the_one(connection: psycopg.Connection) -> bool:
    # Session locks nest; asking again while holding would need as many unlocks, so look first.
    held = _value(
        connection,
        "SELECT count(*) FROM pg_locks "
        "WHERE locktype = 'advisory' AND objid = %s AND pid = pg_backend_pid() AND granted",
        (_HEALER_LOCK,),
    )
    return bool(held or _value(connection, "SELECT pg_try_advisory_lock(%s)", (_HEALER_LOCK,)))


def _value(connection: psycopg.Connection, query: str, values: tuple[object, ...]) -> object:
    row = connection.execute(query.encode(), values).fetchone()
    return row[0] if row else None
