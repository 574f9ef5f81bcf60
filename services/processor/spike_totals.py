"""Reads series' committed totals: open hours, running minutes, the hours before them, parts. Always exact, also while
the higher levels wait for refresh: stale hours come from the minute rollup. Call inside one snapshot.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from pricing.usage import COMPLETION_CLASSES, PROMPT_CLASSES
from services.contracts.rollups import USAGE
from services.processor.spike_causes import Part
from services.processor.spikes import HOUR, Dimension, HourTotals, Measures, SeriesHour, hour_of

Connection = psycopg.Connection[Any]
_EPOCH_AT = datetime(1970, 1, 1, tzinfo=UTC)
# What a worker reads from the server at once; the rest waits there.
_ROWS_AT_ONCE = 20_000

_COST = "billed_pico_usd + adjustment_pico_usd"
_MEASURES = (
    f"sum({_COST})::bigint AS cost_pico_usd, sum(calls)::bigint AS calls, "
    "sum(requests)::bigint AS requests, "
    f"sum({' + '.join(PROMPT_CLASSES)})::bigint AS prompt_tokens, "
    f"sum({' + '.join(COMPLETION_CLASSES)})::bigint AS completion_tokens"
)
_EPOCH = "TIMESTAMPTZ '1970-01-01 00:00:00+00'"
_HOUR = f"date_bin(INTERVAL '1 hour', bucket, {_EPOCH})"
_QUARTER = f"date_bin(INTERVAL '15 minutes', bucket, {_EPOCH})"
# Its view would first sum the writing partitions away; every query here sums anyway.
_MINUTES = USAGE.base_table
_QUARTERS, _HOURS = USAGE.view("15m"), USAGE.view("hour")
_IN_RANGE = "tenant_no = ANY(%(tenants)s) AND bucket >= %(start)s AND bucket < %(end)s"
_ROW = f"feature, agent_id, model, {_COST} AS cost, calls"
# Every series of some rows of (tenant_no, at, feature, agent_id, model, cost, calls) in one pass. The bits of GROUPING
# are feature, agent_id, model: what is 0 is what the row is of.
_BY_SERIES = (
    "SELECT tenant_no, GROUPING(feature, agent_id, model) AS kind, "
    "coalesce(feature, agent_id, model, '') AS value, at, "
    "sum(cost)::bigint, sum(calls)::bigint FROM ({rows}) AS rows "
    "GROUP BY GROUPING SETS ((tenant_no, at, feature), (tenant_no, at, agent_id), (tenant_no, at, model), "
    "(tenant_no, at))"
)
_KINDS: dict[int, Dimension] = {0b011: "feature", 0b101: "agent_id", 0b110: "model", 0b111: "tenant_id"}

Series = tuple[int, Dimension, str]


def series_of(one: SeriesHour) -> Series:
    """The series without its hour."""
    return one.tenant_no, one.dimension, one.value


def open_totals(
    connection: Connection, tenants: set[int], start: datetime, end: datetime
) -> dict[SeriesHour, Measures]:
    """Cost and calls in [start, end) of every series of the tenants, by hour. Start and end are whole minutes."""
    rows = f"SELECT tenant_no, {_HOUR} AS at, {_ROW} FROM {_MINUTES} WHERE {_IN_RANGE}"
    found = connection.execute(_BY_SERIES.format(rows=rows), _range(tenants, start, end)).fetchall()
    return {
        SeriesHour(tenant_no, _KINDS[kind], value, at.astimezone(UTC)): Measures(cost, calls)
        for tenant_no, kind, value, at, cost, calls in found
    }


def minute_totals(
    connection: Connection, tenants: set[int], start: datetime, end: datetime
) -> dict[Series, list[HourTotals]]:
    """The same by minute, and by series."""
    rows = f"SELECT tenant_no, bucket AS at, {_ROW} FROM {_MINUTES} WHERE {_IN_RANGE}"
    totals: dict[Series, list[HourTotals]] = defaultdict(list)
    for tenant_no, kind, value, at, cost, calls in connection.execute(
        _BY_SERIES.format(rows=rows), _range(tenants, start, end)
    ).fetchall():
        totals[tenant_no, _KINDS[kind], value].append(HourTotals(at.astimezone(UTC), Measures(cost, calls)))
    return totals


def minutes_of(
    connection: Connection, series: SeriesHour, spans: Sequence[tuple[datetime, datetime]]
) -> list[HourTotals]:
    """A series' minutes within `spans`, each [start, end)."""
    query = sql.SQL(
        "SELECT bucket, sum({cost})::bigint, sum(calls)::bigint FROM {minutes} JOIN unnest(%s::timestamptz[], "
        "%s::timestamptz[]) AS span (span_start, span_end) ON bucket >= span_start AND bucket < span_end "
        "WHERE tenant_no = %s AND {column} = %s GROUP BY bucket"
    ).format(
        cost=sql.SQL(_COST),
        minutes=sql.Identifier(_MINUTES),
        column=sql.SQL("''") if series.dimension == "tenant_id" else sql.Identifier(series.dimension),
    )
    starts, ends = ([span[index] for span in spans] for index in (0, 1))
    rows = connection.execute(query, [starts, ends, series.tenant_no, series.value]).fetchall()
    return [HourTotals(at.astimezone(UTC), Measures(cost, calls)) for at, cost, calls in rows]


def histories(
    connection: Connection, tenant_no: int, start: datetime, end: datetime, split: Sequence[datetime] = ()
) -> Iterator[tuple[Series, list[HourTotals]]]:
    """Every series of a tenant with its hours in [start, end) that had calls, one series after the other.

    The hours of `split` come in quarters. Start is a whole hour; end too, or lies in one of `split`.
    """
    dirty, quartered = set(dirty_hours(connection, start, end)), set(split)
    parameters = {
        **_range({tenant_no}, start, end), "odd": [*(dirty | quartered)], "dirty": [*(dirty - quartered)],
        "split": [*(quartered - dirty)], "dirty_split": [*(quartered & dirty)],
    }  # fmt: skip
    apart = (("dirty", "hour", _MINUTES), ("split", "bucket", _QUARTERS), ("dirty_split", _QUARTER, _MINUTES))
    selects = [f"SELECT tenant_no, bucket AS at, {_ROW} FROM {_HOURS} WHERE {_IN_RANGE} AND NOT bucket = ANY(%(odd)s)"]
    selects += [
        f"SELECT tenant_no, {at} AS at, {_ROW} FROM unnest(%({name})s::timestamptz[]) AS hour JOIN LATERAL "
        f"(SELECT * FROM {table} WHERE {_IN_RANGE} AND bucket >= hour AND bucket < hour + INTERVAL '1 hour') "
        "AS apart ON true"
        for name, at, table in apart
        if parameters[name]
    ]
    # At the server until it is asked for: a tenant with thousands of series has millions of hours.
    with connection.cursor(name="histories") as cursor:
        cursor.itersize = _ROWS_AT_ONCE
        cursor.execute(
            (_BY_SERIES.format(rows=" UNION ALL ".join(selects)) + " ORDER BY kind, value").encode(), parameters
        )
        for (kind, value), hours in groupby(cursor, key=lambda row: (row[1], row[2])):
            found = [HourTotals(at.astimezone(UTC), Measures(cost, calls)) for *_, at, cost, calls in hours]
            yield (tenant_no, _KINDS[kind], value), found


def dirty_hours(connection: Connection, start: datetime, end: datetime) -> list[datetime]:
    """Hours whose hour totals are stale; the minute rollup is exact for them."""
    rows = connection.execute(
        f"SELECT DISTINCT {_HOUR} FROM dirty_bucket WHERE bucket >= %s AND bucket < %s", [start, end]
    ).fetchall()
    return [hour for (hour,) in rows]


@dataclass(slots=True)
class PartsReader:
    """A tenant's hours by feature, agent and model, read once for all its spikes of a round."""

    connection: Connection
    _read: dict[tuple[int, tuple[datetime, ...], timedelta], list[Part]] = field(default_factory=dict)

    def parts(self, series: SeriesHour, hours: Sequence[datetime]) -> list[Part]:
        """The series in all of `hours` together."""
        return self._of(series, tuple(sorted(hours)), HOUR)

    def minutes(self, series: SeriesHour, start: datetime, length: timedelta) -> list[Part]:
        """The series in the minutes from `start` on."""
        return self._of(series, (start,), length)

    def between(self, series: SeriesHour, start: datetime, end: datetime) -> list[Part]:
        """The series in [start, end): whole hours, and minutes where it begins or ends within one."""
        first, last = -(-(start - _EPOCH_AT) // HOUR) * HOUR + _EPOCH_AT, hour_of(end)
        if last <= first:
            return self.minutes(series, start, end - start)
        found = self.parts(series, [first + number * HOUR for number in range((last - first) // HOUR)])
        found += self.minutes(series, start, first - start) if start < first else []
        return found + (self.minutes(series, last, end - last) if last < end else [])

    def _of(self, series: SeriesHour, starts: tuple[datetime, ...], length: timedelta) -> list[Part]:
        key = (series.tenant_no, starts, length)
        if key not in self._read:
            self._read[key] = self._parts(*key)
        if series.dimension == "tenant_id":
            return self._read[key]
        return [part for part in self._read[key] if getattr(part, series.dimension) == series.value]

    def _parts(self, tenant_no: int, starts: tuple[datetime, ...], length: timedelta) -> list[Part]:
        start, end = starts[0], starts[-1] + length
        columns = "feature, agent_id, model"
        # A lone window is the tested one, still running: its minutes are at hand.
        if len(starts) == 1:
            rows = f"SELECT {columns}, {_MEASURES} FROM {_MINUTES} WHERE {_IN_RANGE} GROUP BY {columns}"
        else:
            rows = (
                f"SELECT {columns}, {_MEASURES} FROM {_HOURS} WHERE {_IN_RANGE} AND bucket = ANY(%(hours)s) "
                f"AND NOT bucket = ANY(%(dirty)s) GROUP BY {columns} UNION ALL "
                f"SELECT {columns}, {_MEASURES} FROM unnest(%(dirty)s::timestamptz[]) AS hour JOIN LATERAL "
                f"(SELECT * FROM {_MINUTES} WHERE {_IN_RANGE} AND bucket >= hour "
                f"AND bucket < hour + INTERVAL '1 hour') AS stale ON true "
                f"WHERE hour = ANY(%(hours)s) GROUP BY {columns}"
            )
        dirty = dirty_hours(self.connection, start, end) if len(starts) > 1 else []
        totals: dict[tuple[str, str, str], Measures] = defaultdict(Measures)
        with self.connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute(rows, {**_range({tenant_no}, start, end), "dirty": dirty, "hours": list(starts)})
            for row in cursor:
                totals[row["feature"], row["agent_id"], row["model"]] += _measures(row)
        return [Part(*key, measures) for key, measures in totals.items()]


def open_hours(connection: Connection, now: datetime) -> set[SeriesHour]:
    """Every tenant and feature with calls in a window that is still open: tested again on assignment."""
    with connection.transaction():
        rows = connection.execute(
            f"SELECT DISTINCT tenant_no, feature, {_HOUR} FROM {_MINUTES} WHERE bucket >= %s", [hour_of(now) - HOUR]
        ).fetchall()
    features = {SeriesHour(tenant, "feature", feature, hour.astimezone(UTC)) for tenant, feature, hour in rows}
    return features | {SeriesHour(series.tenant_no, "tenant_id", "", series.hour) for series in features}


def _range(tenants: Iterable[int], start: datetime, end: datetime) -> dict[str, Any]:
    return {"tenants": sorted(tenants), "start": start, "end": end}


def _measures(row: dict[str, int]) -> Measures:
    return Measures(**{name: int(row[name]) for name in Measures.__slots__ if name in row})
