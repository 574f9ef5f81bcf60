"""Builds rollups of a range again from the raw events: piece by piece, each in one transaction while nothing flows in.

Raw events, identities and the ledger are never touched: what they say is the truth here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import psycopg
from psycopg.errors import DeadlockDetected, SerializationFailure

from deploy.timescale.rollup_ddl import date_bin, refresh_plain
from services.audit.checkpoint import read_floors
from services.audit.measures import LATENCY_BUCKET_SQL, RAW_MEASURES, adjusted
from services.audit.statements import within
from services.contracts.rollups import BUILT, LATENCY, LEVEL_SECONDS, ROLLUPS, UNITS, Level, Rollup

# The same lock as the refresher's: no bucket closes, and no flush adds to one, while it is held alone.
CLOSING_LOCK: Final = 720_302
# The same lock as the merger's: a row it puts in the place of others must not be missed.
MERGING_LOCK: Final = 720_305
# A piece holds up the stream while it is built.
_EVENTS_PER_PIECE: Final = 100_000
_ATTEMPTS_MAX: Final = 5
_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)


class CannotRepairError(Exception):
    """The range can't be built again from what is kept."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """A range done: how many rows of base tables were there before, and are there now."""

    start: datetime
    end: datetime
    rows_before: int
    rows_after: int


Note = Callable[[psycopg.Connection, Repaired], None]


def repair(connection: psycopg.Connection, start: datetime, end: datetime, note: Note) -> list[Repaired]:
    """Rebuilds every level of every rollup, and the runs, of [start, end) widened to whole hours.

    `note` is called in the transaction of each piece, to write it down. Days are rebuilt whole. `connection` is in
    autocommit and UTC. Killed at any moment, what was done is done and the rest as it was. Raises CannotRepairError
    where raw events are not complete.
    """
    start, end = _floor(start, _HOUR), _floor(end - timedelta(microseconds=1), _HOUR) + _HOUR
    floor = connection.execute(
        "SELECT complete_from FROM retention_floor WHERE relation = 'usage_event' AND complete_from > %s", (start,)
    ).fetchone()
    if floor is not None:
        raise CannotRepairError(f"raw events are complete from {floor[0].isoformat()} on only")
    timescale = connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'").fetchone() is not None
    done = []
    for piece_start, piece_end in _pieces(connection, start, end):
        piece = _until_there(partial(_repair_base, connection, piece_start, piece_end, note, timescale=timescale))
        if timescale:
            _refresh_timescale(connection, piece_start, piece_end)
        done.append(piece)
    return done


def _pieces(connection: psycopg.Connection, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Pieces of a day, or of an hour where a day is full; hours of nothing are left out with the days around them."""
    day = start
    while day < end:
        day_end = min(_floor(day, _DAY) + _DAY, end)
        row = connection.execute(
            "SELECT count(*) FROM usage_event WHERE occurred_at >= %s AND occurred_at < %s", (day, day_end)
        ).fetchone()
        if row is not None and row[0] <= _EVENTS_PER_PIECE:
            yield day, day_end
        else:
            while day < day_end:
                yield day, day + _HOUR
                day += _HOUR
        day = day_end


def _until_there(attempt: Callable[[], Repaired]) -> Repaired:
    for tried in range(1, _ATTEMPTS_MAX + 1):
        try:
            return attempt()
        except (DeadlockDetected, SerializationFailure):
            if tried == _ATTEMPTS_MAX:
                raise
    raise AssertionError("unreachable")


def _repair_base(
    connection: psycopg.Connection, start: datetime, end: datetime, note: Note, *, timescale: bool
) -> Repaired:
    values: dict[str, object] = {"start": start, "end": end}
    before = after = 0
    with connection.transaction():
        if timescale:
            connection.execute("SET LOCAL timescaledb.max_tuples_decompressed_per_dml_transaction = 0")
        # In the order everybody takes them: a flush under way ends first, the next waits at its first statement.
        connection.execute("SELECT FROM ledger ORDER BY cluster_id, topic_id, kafka_partition FOR UPDATE")
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (CLOSING_LOCK,))
        connection.execute("LOCK TABLE dirty_bucket IN EXCLUSIVE MODE")
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (MERGING_LOCK,))
        for delete, insert in (_base(rollup) for rollup in ROLLUPS):
            before += connection.execute(delete.encode(), values).rowcount
            after += connection.execute(insert.encode(), values).rowcount
        connection.execute(_runs().encode(), values)
        if timescale:
            # Until they are refreshed, outside a transaction, readers take the base.
            connection.execute(
                "INSERT INTO dirty_bucket (bucket) SELECT q FROM generate_series(%(start)s::timestamptz, "
                "%(end)s::timestamptz - INTERVAL '15 minutes', '15 minutes') AS q, rollup_state "
                "WHERE q < closed_through",
                values,
            )
        else:
            _refresh_plain(connection, start, end)
        connection.execute(
            "DELETE FROM audit_checkpoint WHERE bucket >= %s AND bucket < %s", (_floor(start, _DAY), end)
        )
        done = Repaired(start, end, before, after)
        note(connection, done)
    return done


def _base(rollup: Rollup) -> tuple[str, str]:
    """DELETE and INSERT for the base rows of a range."""
    width = date_bin(rollup.base_level, "e.occurred_at")
    keys = ("bucket", "tenant_no", "kafka_partition", *rollup.dimensions)
    names = ", ".join((*keys, *rollup.measures))
    dimensions = [_dimension(name) for name in rollup.dimensions]
    measures = ["sum(u.quantity)"] if rollup == UNITS else [_measure(rollup, name) for name in rollup.measures]
    columns = ", ".join((f"{width}", "e.tenant_no", "e.kafka_partition", *dimensions, *measures))
    group = ", ".join(str(number + 1) for number in range(len(keys)))
    return (
        f"DELETE FROM {rollup.base_table} WHERE {within('bucket')}",
        f"INSERT INTO {rollup.base_table} ({names}) SELECT {columns} FROM {_source(rollup)} GROUP BY {group}",
    )


def _dimension(name: str) -> str:
    return {"latency_bucket": f"{LATENCY_BUCKET_SQL}::smallint", "unit": "u.unit"}.get(name, f"e.{name}")


def _measure(rollup: Rollup, name: str) -> str:
    return "count(e.latency_ms)" if rollup == LATENCY else RAW_MEASURES[name]


def _source(rollup: Rollup) -> str:
    where = within("occurred_at", prefix="e.")
    if rollup == UNITS:
        return (
            "usage_event AS e CROSS JOIN LATERAL (SELECT key AS unit, value::bigint AS quantity "
            f"FROM json_each_text(e.units::json)) AS u WHERE e.units IS NOT NULL AND {where}"
        )
    joined = (
        f"usage_event AS e LEFT JOIN ({adjusted(within('occurred_at'))}) AS a USING (tenant_no, event_key, occurred_at)"
    )
    return f"{joined} WHERE {where}" + (" AND e.latency_ms IS NOT NULL" if rollup == LATENCY else "")


def _runs() -> str:
    """Rebuilds the runs that have a call in the range, or say that they began in it, from all their calls. A run that
    began before raw events are complete stays as it is."""
    key = "tenant_no, run_id, kafka_partition"
    whole = "coalesce((SELECT complete_from FROM retention_floor WHERE relation = 'usage_event'), '-infinity')"
    return (
        f"WITH touched AS MATERIALIZED (SELECT {key} FROM usage_event WHERE run_id <> '' AND {within('occurred_at')} "
        f"UNION SELECT {key} FROM run_base WHERE {within('started_at')} "
        f"EXCEPT SELECT {key} FROM run_base WHERE started_at < {whole}), "
        f"gone AS (DELETE FROM run_base WHERE ({key}) IN (SELECT * FROM touched) RETURNING {key}), "
        f"keys AS MATERIALIZED (SELECT * FROM touched UNION SELECT * FROM gone) "
        f"INSERT INTO run_base ({key}, agent_id, started_at, ended_at, calls, unpriced_events, billed_pico_usd, "
        "adjustment_pico_usd) SELECT e.tenant_no, e.run_id, e.kafka_partition, "
        "(array_agg(e.agent_id ORDER BY e.occurred_at))[1], min(e.occurred_at), max(e.occurred_at), count(*), "
        f"{RAW_MEASURES['unpriced_events']}, {RAW_MEASURES['billed_pico_usd']}, {RAW_MEASURES['adjustment_pico_usd']} "
        f"FROM keys JOIN usage_event AS e USING ({key}) LEFT JOIN ({adjusted('true')}) AS a "
        "ON a.tenant_no = e.tenant_no AND a.event_key = e.event_key AND a.occurred_at = e.occurred_at GROUP BY 1, 2, 3"
    )


def _buckets(start: datetime, end: datetime, level: Level) -> list[datetime]:
    width = timedelta(seconds=LEVEL_SECONDS[level])
    bucket, found = _floor(start, width), []
    while bucket < end:
        found.append(bucket)
        bucket += width
    return found


def _refresh_plain(connection: psycopg.Connection, start: datetime, end: datetime) -> None:
    """The levels above, in the same transaction: those buckets that the views read from their tables."""
    state = connection.execute("SELECT materialized_through FROM rollup_state").fetchone()
    floors = read_floors(connection)
    for rollup, level in BUILT:
        below = rollup.view_below(level)
        buckets = [
            bucket
            for bucket in _buckets(start, end, level)
            if state is not None and bucket < state[0] and _built_from(floors, below, bucket)
        ]
        for statement in refresh_plain(rollup, level) if buckets else ():
            connection.execute(statement.encode(), {"buckets": buckets})


def _built_from(floors: Mapping[str, datetime], below: str, bucket: datetime) -> bool:
    floor = floors.get(below)
    return floor is None or bucket >= floor


def _refresh_timescale(connection: psycopg.Connection, start: datetime, end: datetime) -> None:
    """The same with continuous aggregates: whatever they hold is built again, then the marks go."""
    marks = connection.execute(
        "SELECT array_agg(mark_id) FROM dirty_bucket WHERE bucket >= %s AND bucket < %s", (start, end)
    ).fetchone()
    state = connection.execute("SELECT closed_through FROM rollup_state").fetchone()
    floors = read_floors(connection)
    for rollup, level in BUILT:
        below = rollup.view_below(level)
        buckets = [
            bucket
            for bucket in _buckets(start, end, level)
            if state is not None
            and bucket + timedelta(seconds=LEVEL_SECONDS[level]) <= state[0]
            and _built_from(floors, below, bucket)
        ]
        if buckets:
            connection.execute(
                "CALL refresh_continuous_aggregate(%s, %s::timestamptz, %s::timestamptz, force => true)",
                (rollup.view(level), buckets[0], buckets[-1] + timedelta(seconds=LEVEL_SECONDS[level])),
            )
    if marks is not None and marks[0]:
        connection.execute("DELETE FROM dirty_bucket WHERE mark_id = ANY(%s)", (marks[0],))


def _floor(moment: datetime, width: timedelta) -> datetime:
    seconds = int(width.total_seconds())
    return datetime.fromtimestamp(int(moment.timestamp()) // seconds * seconds, UTC)
