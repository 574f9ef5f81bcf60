"""Lets rows go that are older than their level is kept: floors move first, the rows follow later.

Nothing is dropped that a coarser level still has to be built from. TimescaleDB's own retention policy goes by the clock
alone, so the job is ours in both stores; what it drops there are whole chunks.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import psycopg
import structlog
from psycopg import sql

from services.contracts.retention import Kept, Retention

log = structlog.get_logger()
_RETENTION_LOCK = 720_304
# One pass on plain tables: so many rows a transaction, so many seconds in all. The next pass goes on.
_ROWS_PER_DELETE = 5_000
_PASS_SECONDS_MAX = 10.0
# Floors lead by so much: whoever read one before it moved is done when the rows go.
LEAD_SECONDS = 900
_ADVANCE = (
    "INSERT INTO retention_floor AS f (relation, complete_from, moved_at) VALUES (%s, %s, %s) ON CONFLICT (relation) "
    "DO UPDATE SET complete_from = EXCLUDED.complete_from, moved_at = EXCLUDED.moved_at "
    "WHERE f.complete_from < EXCLUDED.complete_from"
)
_SETTLED = "SELECT relation, complete_from FROM retention_floor WHERE moved_at <= %s"
# Whatever is not built yet has to stay: buckets not closed, and marked ones.
_UNBUILT_FROM = "SELECT least(closed_through, (SELECT min(bucket) FROM dirty_bucket)) FROM rollup_state"


class RetentionJob:
    """One pass per `run_once`. Uses its own connection each time; not thread-safe."""

    def __init__(self, dsn: str, retention: Retention) -> None:
        self._dsn = dsn
        self._relations = retention.relations()

    def run_once(self, now: datetime) -> int:
        """Drops what lies below floors that moved `LEAD_SECONDS` ago, then moves the floors on; the number of rows or
        chunks dropped, 0 when another process is at it. Raises psycopg.Error when the database is away; call again."""
        with psycopg.connect(
            self._dsn, autocommit=True, options="-c timezone=UTC", application_name="retention"
        ) as connection:
            if not _first(connection, "SELECT pg_try_advisory_lock(%s)", _RETENTION_LOCK):
                return 0
            dropped = self._drop(connection, now - timedelta(seconds=LEAD_SECONDS))
            self._advance(connection, now)
            return dropped

    def _drop(self, connection: psycopg.Connection, settled: datetime) -> int:
        timescale = bool(_first(connection, "SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'"))
        floors: dict[str, datetime] = dict(connection.execute(_SETTLED, (settled,)).fetchall())
        until = time.monotonic() + _PASS_SECONDS_MAX
        dropped = 0
        for kept in self._relations:
            # A setting that keeps more than before holds at once; what was claimed gone stays claimed.
            if kept.days is None or kept.name not in floors:
                continue
            gone = _drop_below(connection, kept, floors[kept.name], timescale=timescale, until=until)
            if gone:
                log.info("dropped", relation=kept.name, before=floors[kept.name].isoformat(), count=gone)
            dropped += gone
        return dropped

    def _advance(self, connection: psycopg.Connection, now: datetime) -> None:
        unbuilt = _first(connection, _UNBUILT_FROM)
        for kept in self._relations:
            if kept.days is None:
                continue
            floor = _next_midnight(now - timedelta(days=kept.days))
            if kept.rollup is not None:
                assert isinstance(unbuilt, datetime)
                floor = min(floor, _midnight(unbuilt))
            connection.execute(_ADVANCE, (kept.name, floor, now))


def read_floors(connection: psycopg.Connection) -> dict[str, datetime]:
    """From when on each relation is complete; one that isn't named always is."""
    return dict(connection.execute("SELECT relation, complete_from FROM retention_floor").fetchall())


def _drop_below(connection: psycopg.Connection, kept: Kept, floor: datetime, *, timescale: bool, until: float) -> int:
    table = kept.table(timescale=timescale)
    if timescale and kept.compress_after_days is not None:
        # Whole chunks, those that end at or before the floor.
        return len(connection.execute("SELECT drop_chunks(%s::regclass, older_than => %s)", (table, floor)).fetchall())
    delete = sql.SQL(
        "DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE {time} < %s LIMIT %s))"
    ).format(table=sql.Identifier(table), time=sql.Identifier(kept.time_column))
    dropped = 0
    while time.monotonic() < until:
        count = connection.execute(delete, (floor, _ROWS_PER_DELETE)).rowcount
        dropped += count
        if count < _ROWS_PER_DELETE:
            break
    return dropped


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _next_midnight(moment: datetime) -> datetime:
    start = _midnight(moment)
    return start if start == moment else start + timedelta(days=1)


def _first(connection: psycopg.Connection, query: str, *values: object) -> object:
    row = connection.execute(query.encode(), values).fetchone()
    return row[0] if row else None
