"""Keeps the levels above the base tables: closes buckets as time goes, rebuilds those that late events touched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta

import psycopg
import structlog

from deploy.timescale.rollup_ddl import refresh_plain
from services.contracts.rollups import BUILT, LEVEL_SECONDS, Level, Rollup
from services.processor.kept_connection import KeptConnection, is_the_one
from services.processor.metrics import REFRESHED
from services.processor.retention import read_floors
from services.processor.statements import CLOSING_LOCK

log = structlog.get_logger()
# One refresher in the whole system; who holds this session lock is it.
_REFRESHER_LOCK = 720_303
_QUARTER_SECONDS = LEVEL_SECONDS["15m"]
# A first pass over years of history goes in steps, so that no transaction grows without bound.
_BUCKETS_PER_STEP = 2_000
# While a backlog is worked off: each flush of it touches the same old buckets, and each rebuilding reads them whole.
_REST_BEHIND = timedelta(seconds=20)
# The views read tables up to here: everything closed, but not beyond the first bucket a later step has to build.
_MATERIALIZED_ON = (
    "UPDATE rollup_state SET materialized_through = greatest(materialized_through, least(closed_through, "
    "(SELECT min(bucket) FROM dirty_bucket WHERE bucket >= materialized_through)))"
)

# What this closes, and all of the hours and days that it ends: they are built once, when they are whole. A continuous
# aggregate that was refreshed over a bucket shows nothing that came into it later.
_MARK_CLOSED = (
    "INSERT INTO dirty_bucket (bucket) SELECT DISTINCT q FROM (SELECT date_bin('15 minutes', bucket, "
    "'epoch'::timestamptz) AS q FROM usage_minute_base WHERE bucket >= %(day)s AND bucket < %(to)s) AS b "
    "CROSS JOIN LATERAL (VALUES (date_bin('1 hour', q, 'epoch'::timestamptz) + INTERVAL '1 hour'), "
    "(date_bin('1 day', q, 'epoch'::timestamptz) + INTERVAL '1 day')) AS ends(at) "
    "WHERE q >= %(from)s OR (ends.at > %(from)s AND ends.at <= %(to)s)"
)


class Refresher:
    """One pass per `run_once`. Uses its own connection; not thread-safe. `behind` says whether a backlog is worked off:
    passes are seldom then, which takes less from counting."""

    def __init__(self, dsn: str, close_after_seconds: int, behind: Callable[[], bool] = lambda: False) -> None:
        self._behind = behind
        self._passed_at = datetime.min.replace(tzinfo=UTC)
        self._connection = KeptConnection(dsn, "refresher")
        self._close_after = timedelta(seconds=close_after_seconds)

    def run_once(self, now: datetime) -> int:
        """Closes what has ended and rebuilds what is dirty; the number of 15-minute buckets done, 0 when another
        process is the refresher or a backlog goes first. Raises psycopg.Error when the database is away; call again."""
        if self._behind() and now - self._passed_at < _REST_BEHIND:
            return 0
        with self._connection.opened() as connection:
            if not is_the_one(connection, _REFRESHER_LOCK):
                return 0
            self._close_buckets(connection, now)
            done = self._rebuild(connection)
            self._passed_at = now
            return done

    def close(self) -> None:
        self._connection.close()

    def _close_buckets(self, connection: psycopg.Connection, now: datetime) -> None:
        """Moves `closed_through` on and marks what that closes, while no flush is under way."""
        closing = _floor(now - self._close_after, _QUARTER_SECONDS)
        state = connection.execute("SELECT closed_through FROM rollup_state").fetchone()
        if state is None or state[0] >= closing:
            return
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (CLOSING_LOCK,))
            # Only buckets that hold something need building; the base tables know which.
            values = {"from": state[0], "to": closing, "day": _floor(state[0], LEVEL_SECONDS["day"])}
            connection.execute(_MARK_CLOSED, values)
            connection.execute("UPDATE rollup_state SET closed_through = %s", (closing,))

    def _rebuild(self, connection: psycopg.Connection) -> int:
        timescale = _has_timescale(connection)
        done = 0
        while True:
            marks = connection.execute(
                "SELECT bucket, array_agg(mark_id) FROM dirty_bucket GROUP BY bucket ORDER BY bucket LIMIT %s",
                (_BUCKETS_PER_STEP,),
            ).fetchall()
            buckets = [bucket for bucket, _ in marks]
            ids = [mark_id for _, mark_ids in marks for mark_id in mark_ids]
            if timescale:
                _rebuild_timescale(connection, buckets, ids)
            else:
                _rebuild_plain(connection, buckets, ids)
            done += len(buckets)
            if len(buckets) < _BUCKETS_PER_STEP:
                return done


def _floor(moment: datetime, seconds: int) -> datetime:
    return datetime.fromtimestamp(int(moment.timestamp()) // seconds * seconds, UTC)


def _has_timescale(connection: psycopg.Connection) -> bool:
    return connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'").fetchone() is not None


def _starts(
    buckets: Iterable[datetime], rollup: Rollup, level: Level, floors: Mapping[str, datetime]
) -> list[datetime]:
    """The buckets of a level that hold these and can be built: where the level below was dropped, building again would
    erase what is left of it."""
    starts = sorted({_floor(bucket, LEVEL_SECONDS[level]) for bucket in buckets})
    floor = floors.get(rollup.view_below(level))
    kept = [start for start in starts if floor is None or start >= floor]
    if len(kept) < len(starts):
        log.warning("left as it is: what it would be built from was dropped", level=rollup.view(level),
                    buckets=len(starts) - len(kept), first=starts[0].isoformat())  # fmt: skip
    return kept


def _rebuild_plain(connection: psycopg.Connection, buckets: list[datetime], ids: list[int]) -> None:
    """One transaction for all levels: readers see a bucket rebuilt at every level or at none.

    The marks go first: a flush that commits meanwhile brings marks of its own, for the next pass.
    """
    with connection.transaction():
        connection.execute("DELETE FROM dirty_bucket WHERE mark_id = ANY(%s)", (ids,))
        connection.execute(_MATERIALIZED_ON)
        floors = read_floors(connection)
        for rollup, level in BUILT:
            starts = _starts(buckets, rollup, level, floors)
            for statement in refresh_plain(rollup, level) if starts else ():
                connection.execute(statement, {"buckets": starts})
            REFRESHED.labels(level).inc(len(starts))


def _rebuild_timescale(connection: psycopg.Connection, buckets: list[datetime], ids: list[int]) -> None:
    """Refreshes the continuous aggregates over the dirty ranges, finest first, then removes the marks.

    A bounded window always: an open start after retention would erase history. Hours and days that are still open stay
    live sums of what is below them.
    """
    floors = read_floors(connection)
    state = connection.execute("SELECT closed_through FROM rollup_state").fetchone()
    for rollup, level in BUILT:
        width = timedelta(seconds=LEVEL_SECONDS[level])
        starts = [s for s in _starts(buckets, rollup, level, floors) if state is not None and s + width <= state[0]]
        for start, end in _ranges(starts, LEVEL_SECONDS[level]):
            connection.execute(
                "CALL refresh_continuous_aggregate(%s, %s::timestamptz, %s::timestamptz)",
                (rollup.view(level), start, end),
            )
        REFRESHED.labels(level).inc(len(starts))
    if ids:
        connection.execute("DELETE FROM dirty_bucket WHERE mark_id = ANY(%s)", (ids,))


def _ranges(starts: list[datetime], seconds: int) -> list[tuple[datetime, datetime]]:
    """Neighbouring buckets joined: half-open ranges."""
    width = timedelta(seconds=seconds)
    ranges: list[tuple[datetime, datetime]] = []
    for start in starts:
        if ranges and ranges[-1][1] == start:
            ranges[-1] = (ranges[-1][0], start + width)
        else:
            ranges.append((start, start + width))
    return ranges
