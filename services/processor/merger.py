"""Keeps the rollups' base tables small: rows that flushes appended to a bucket become one row for each key.

Nothing waits for it and no number depends on it: readers sum whatever rows there are, and merged they sum up the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import psycopg

from services.contracts.retention import ACCEPT_PAST_DAYS
from services.contracts.rollups import ROLLUPS, Rollup
from services.processor.kept_connection import KeptConnection
from services.processor.metrics import MERGED
from services.processor.statements import MERGING_LOCK

# A bucket that is written into is merged when it has so many rows for each merged one, and at least this many.
_GROWTH = 4
_ROWS_MIN = 2_000
# No more often than this: a backlog's buckets grow several times in seconds, and merging them would take from counting.
_GROWING_AGE_MIN = timedelta(seconds=10)
# While a backlog is worked off, only buckets of so many rows: merging would take its time from counting, and those who
# read now wait a fraction of a second longer.
_ROWS_MIN_BEHIND = 200_000
# A pass begins no further piece of merging after so long: what is counted meanwhile shares the processors with it.
_PASS_SECONDS = 0.2
# Tenant after tenant, a transaction takes about so many rows at least: a large bucket takes several passes.
_PIECE_ROWS = 5_000
# One that is quiet is merged once more, where that makes it smaller by more than a tenth.
_QUIET_SHARE = 10
# Older buckets are as they are: only an operator's admission adds to one, and on TimescaleDB it may be compressed.
_AGE_MAX = timedelta(days=ACCEPT_PAST_DAYS)
# Marks of a bucket that is left as it is become one.
_MARKS_MAX = 16
_BY_TABLE = {rollup.base_table: rollup for rollup in ROLLUPS}

_WAITING = (
    "SELECT rollup, bucket, sum(row_count)::bigint, array_agg(mark_id) FROM unmerged_bucket GROUP BY rollup, bucket"
)
_TAKE = "DELETE FROM unmerged_bucket WHERE mark_id = ANY(%s)"
_STILL_THERE = "SELECT count(*) FROM unmerged_bucket WHERE mark_id = ANY(%s)"
# The tenant that the first row beyond so many belongs to.
_BEYOND = "SELECT tenant_no FROM {} WHERE bucket = %s AND tenant_no >= %s ORDER BY tenant_no OFFSET %s LIMIT 1"
# Beyond all numbers of tenants.
_TENANTS_END = 2**31
_AS_ONE = "INSERT INTO unmerged_bucket (rollup, bucket, row_count) VALUES (%s, %s, %s)"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Rows of one bucket of a base table that were added since it was merged."""

    table: str
    bucket: datetime
    rows: int
    mark_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Begun:
    """How far the merging of a bucket has come: up to a tenant. Its marks are those that were there when it began: of
    what was added since, some is merged and some is not."""

    waiting: Waiting
    tenant_next: int = 0
    rows: int = 0


def due(waiting: Waiting, merged_rows: int, age: timedelta, *, quiet: bool) -> bool:
    """Whether merging is worth its while now. A row costs one more reading for each time it is merged, so that a bucket
    has to grow by a multiple in between. `age`: since it was merged or seen first; `quiet`: nothing was added since it
    was looked at last. Pure."""
    if age >= _GROWING_AGE_MIN and waiting.rows >= max(_ROWS_MIN, _GROWTH * merged_rows):
        return True
    return quiet and len(waiting.mark_ids) > 1 and waiting.rows * _QUIET_SHARE > merged_rows


class Merger:
    """One pass per `run_once`. Uses its own connection; not thread-safe. Any number of processes may run one: a lock
    lets one of them merge at a time. `behind` says whether a backlog is being worked off."""

    def __init__(self, dsn: str, behind: Callable[[], bool] = lambda: False) -> None:
        self._behind = behind
        # The rows of one bucket at a time are summed in memory.
        self._connection = KeptConnection(dsn, "merger", "-c work_mem=64MB")
        self._merged_rows: dict[tuple[str, datetime], int] = {}
        self._seen: dict[tuple[str, datetime], int] = {}
        self._since: dict[tuple[str, datetime], datetime] = {}
        self._begun: dict[tuple[str, datetime], _Begun] = {}

    def run_once(self, now: datetime) -> int:
        """Merges buckets that are due, piece by piece and each piece in a transaction of its own, for about
        `_PASS_SECONDS`; how many buckets are merged now. Raises psycopg.Error when the database is away; call again."""
        with self._connection.opened() as connection:
            rows = connection.execute(_WAITING).fetchall()
            found = [Waiting(table, bucket, count, tuple(ids)) for table, bucket, count, ids in rows]
            past = [mark for waiting in found if now - waiting.bucket > _AGE_MAX for mark in waiting.mark_ids]
            if past:
                connection.execute(_TAKE, (past,))
            rows_min = _ROWS_MIN_BEHIND if self._behind() else 0
            young = [each for each in found if now - each.bucket <= _AGE_MAX and each.rows >= rows_min]
            done, until = 0, time.monotonic() + _PASS_SECONDS
            # Small ones first: they take little, and minutes are what is read most.
            for waiting in sorted(young, key=lambda each: each.rows):
                done += self._look_at(connection, waiting, now, until)
                if time.monotonic() > until:
                    break
            self._forget({(waiting.table, waiting.bucket) for waiting in found})
            return done

    def close(self) -> None:
        self._connection.close()

    def _look_at(self, connection: psycopg.Connection, waiting: Waiting, now: datetime, until: float) -> bool:
        key = (waiting.table, waiting.bucket)
        if key in self._begun:
            return self._merge(connection, key, until)
        age = now - self._since.setdefault(key, now)
        if waiting.rows < _ROWS_MIN and self._seen.get(key) != waiting.rows:
            self._seen[key] = waiting.rows
            return False
        merged_rows = self._rows_merged_before(connection, waiting)
        if due(waiting, merged_rows, age, quiet=self._seen.get(key) == waiting.rows):
            self._since[key] = now
            self._begun[key] = _Begun(waiting)
            return self._merge(connection, key, until)
        self._seen[key] = waiting.rows
        if len(waiting.mark_ids) > _MARKS_MAX:
            with connection.transaction():
                if _locked(connection) and connection.execute(_TAKE, (list(waiting.mark_ids),)).rowcount:
                    connection.execute(_AS_ONE, (waiting.table, waiting.bucket, waiting.rows))
        return False

    def _rows_merged_before(self, connection: psycopg.Connection, waiting: Waiting) -> int:
        key = (waiting.table, waiting.bucket)
        if key not in self._merged_rows:
            count = f"SELECT count(*) FROM {_BY_TABLE[waiting.table].base_table} WHERE bucket = %s"
            row = connection.execute(count.encode(), (waiting.bucket,)).fetchone()
            self._merged_rows[key] = max(0, int(row[0]) - waiting.rows) if row else 0
        return self._merged_rows[key]

    def _merge(self, connection: psycopg.Connection, key: tuple[str, datetime], until: float) -> bool:
        """Goes on with a bucket that was begun, by one piece at least; whether it is done."""
        begun = _merge_piece(connection, self._begun.pop(key))
        while begun is not None and begun.tenant_next < _TENANTS_END:
            if time.monotonic() > until:
                self._begun[key] = begun
                return False
            begun = _merge_piece(connection, begun)
        if begun is None:
            return False
        self._merged_rows[key] = begun.rows
        self._seen.pop(key, None)
        MERGED.labels(begun.waiting.table).inc(begun.waiting.rows)
        return True

    def _forget(self, waiting: Iterable[tuple[str, datetime]]) -> None:
        """Buckets that nothing waits in are looked up again when something does."""
        kept = set(waiting)
        self._merged_rows = {key: rows for key, rows in self._merged_rows.items() if key in kept}
        self._seen = {key: rows for key, rows in self._seen.items() if key in kept}
        self._since = {key: since for key, since in self._since.items() if key in kept}
        self._begun = {key: begun for key, begun in self._begun.items() if key in kept}


def _locked(connection: psycopg.Connection) -> bool:
    row = connection.execute("SELECT pg_try_advisory_xact_lock(%s)", (MERGING_LOCK,)).fetchone()
    return bool(row and row[0])


def _merge_piece(connection: psycopg.Connection, begun: _Begun) -> _Begun | None:
    """Merges some more tenants of a bucket; how far it has come then. None when it is another's turn, or another was
    faster: nothing to do."""
    table, bucket, marks = begun.waiting.table, begun.waiting.bucket, list(begun.waiting.mark_ids)
    with connection.transaction():
        if not _locked(connection) or connection.execute(_STILL_THERE, (marks,)).fetchone() != (len(marks),):
            return None
        beyond = connection.execute(_BEYOND.format(table).encode(), (bucket, begun.tenant_next, _PIECE_ROWS)).fetchone()
        end = max(int(beyond[0]), begun.tenant_next + 1) if beyond else _TENANTS_END
        # The marks go with the last piece: where the process ends before, another begins again.
        if not beyond:
            connection.execute(_TAKE, (marks,))
        values = {"bucket": bucket, "first": begun.tenant_next, "end": end}
        rows = connection.execute(merge_statement(_BY_TABLE[table]), values).rowcount
        return replace(begun, tenant_next=end, rows=begun.rows + rows)


def merge_statement(rollup: Rollup) -> bytes:
    """Puts the rows of `%(bucket)s` and the tenants from `%(first)s` to before `%(end)s` together by key. What comes in
    meanwhile is not seen and stays beside them."""
    keys = ", ".join(("bucket", "tenant_no", *rollup.dimensions, "kafka_partition"))
    sums = ", ".join(f"sum({name})::bigint" for name in rollup.measures)
    return (
        f"WITH parts AS (DELETE FROM {rollup.base_table} WHERE bucket = %(bucket)s AND tenant_no >= %(first)s "
        f"AND tenant_no < %(end)s RETURNING *) INSERT INTO {rollup.base_table} ({keys}, {', '.join(rollup.measures)}) "
        f"SELECT {keys}, {sums} FROM parts GROUP BY {keys} ORDER BY {keys}"
    ).encode()
