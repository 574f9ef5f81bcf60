"""Reads a series' committed totals: its open hours, the hours before them, its parts. Always exact, also while the
higher levels wait for refresh: stale hours come from the minute rollup. Call inside one snapshot.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row

from pricing.usage import COMPLETION_CLASSES, PROMPT_CLASSES
from services.contracts.rollups import USAGE
from services.processor.spike_causes import Part
from services.processor.spikes import HOUR, HourTotals, Measures, SeriesHour, hour_of

Connection = psycopg.Connection[Any]
_USUAL_KEPT = timedelta(seconds=60)

_TOTALS = "sum(billed_pico_usd + adjustment_pico_usd)::bigint AS cost_pico_usd, sum(calls)::bigint AS calls"
_MEASURES = (
    "sum(billed_pico_usd + adjustment_pico_usd)::bigint AS cost_pico_usd, sum(calls)::bigint AS calls, "
    "sum(requests)::bigint AS requests, "
    f"sum({' + '.join(PROMPT_CLASSES)})::bigint AS prompt_tokens, "
    f"sum({' + '.join(COMPLETION_CLASSES)})::bigint AS completion_tokens"
)
_HOUR = "date_bin(INTERVAL '1 hour', bucket, TIMESTAMPTZ '1970-01-01 00:00:00+00')"
# Its view would first sum the writing partitions away; every query here sums anyway.
_MINUTES = USAGE.base_table
_HOURS = USAGE.view("hour")
_IN_RANGE = "tenant_no = ANY(%(tenants)s) AND bucket >= %(start)s AND bucket < %(end)s"


# Of one tenant: hour totals by feature.
_History = dict[str, list[HourTotals]]


@dataclass(slots=True)
class UsualHours:
    """A worker's memory of the hours before a window, a minute at most; only saves reading, never decides.

    Not kept while any of those hours waits for refresh, and dropped when this worker itself touches one of them.
    """

    _kept: dict[tuple[int, datetime], tuple[datetime, _History]] = field(default_factory=dict)

    def get(self, tenant_no: int, hour: datetime, now: datetime) -> _History | None:
        read_at, history = self._kept.get((tenant_no, hour), (None, None))
        return history if read_at is not None and now - read_at < _USUAL_KEPT else None

    def put(self, tenant_no: int, hour: datetime, now: datetime, history: _History) -> None:
        self._kept = {key: kept for key, kept in self._kept.items() if now - kept[0] < _USUAL_KEPT}
        self._kept[tenant_no, hour] = (now, history)

    def forget(self, touched: Iterable[SeriesHour]) -> None:
        for series in touched:
            for key in [key for key in self._kept if key[0] == series.tenant_no and key[1] > series.hour]:
                del self._kept[key]


def open_totals(
    connection: Connection, tenants: set[int], start: datetime, end: datetime
) -> dict[SeriesHour, Measures]:
    """Cost and calls of every feature of the tenants, and of each tenant, by hour. Start and end are whole hours."""
    totals: dict[SeriesHour, Measures] = defaultdict(Measures)
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            f"SELECT tenant_no, {_HOUR} AS hour, feature, {_TOTALS} FROM {_MINUTES} WHERE {_IN_RANGE} GROUP BY 1, 2, 3",
            _range(tenants, start, end),
        )
        for row in cursor:
            hour = row["hour"].astimezone(UTC)
            totals[SeriesHour(row["tenant_no"], "feature", row["feature"], hour)] += _measures(row)
            totals[SeriesHour(row["tenant_no"], "tenant_id", "", hour)] += _measures(row)
    return totals


def hours_before(
    connection: Connection, series: SeriesHour, now: datetime, memory: UsualHours, history_hours: int
) -> Sequence[HourTotals]:
    """Cost and calls of the series' hours before its tested one, those without calls left out."""
    history = memory.get(series.tenant_no, series.hour, now)
    if history is None:
        start = series.hour - history_hours * HOUR
        dirty = _dirty_hours(connection, start, series.hour)
        history = _read_history(connection, _range({series.tenant_no}, start, series.hour), dirty)
        if not dirty:
            memory.put(series.tenant_no, series.hour, now, history)
    if series.dimension == "feature":
        return history.get(series.value, [])
    by_hour: dict[datetime, Measures] = defaultdict(Measures)
    for hours in history.values():
        for totals in hours:
            by_hour[totals.hour] += totals.measures
    return [HourTotals(hour, measures) for hour, measures in by_hour.items()]


def _dirty_hours(connection: Connection, start: datetime, end: datetime) -> list[datetime]:
    """Hours whose hour totals are stale; the minute rollup is exact for them."""
    rows = connection.execute(
        f"SELECT DISTINCT {_HOUR} FROM dirty_bucket WHERE bucket >= %s AND bucket < %s", [start, end]
    ).fetchall()
    return [hour for (hour,) in rows]


def _exact_hours(columns: str, measures: str, group: str) -> str:
    """Hour totals from the hour level, those of stale hours from minutes: an index range for each, nothing for none."""
    return (
        f"SELECT bucket AS hour, {columns}{measures} FROM {_HOURS} "
        f"WHERE {_IN_RANGE} AND NOT bucket = ANY(%(dirty)s) GROUP BY {group} UNION ALL "
        f"SELECT hour, {columns}{measures} FROM unnest(%(dirty)s::timestamptz[]) AS hour JOIN LATERAL "
        f"(SELECT * FROM {_MINUTES} WHERE {_IN_RANGE} AND bucket >= hour AND bucket < hour + INTERVAL '1 hour') "
        f"AS stale ON true GROUP BY {group}"
    )


def _read_history(connection: Connection, parameters: dict[str, Any], dirty: list[datetime]) -> _History:
    history: _History = defaultdict(list)
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(_exact_hours("feature, ", _TOTALS, "1, 2"), {**parameters, "dirty": dirty})
        for row in cursor:
            history[row["feature"]].append(HourTotals(row["hour"].astimezone(UTC), _measures(row)))
    return dict(history)


@dataclass(slots=True)
class PartsReader:
    """A tenant's hours by feature, agent and model, read once for all its spikes of a round."""

    connection: Connection
    _read: dict[tuple[int, tuple[datetime, ...]], list[Part]] = field(default_factory=dict)

    def parts(self, series: SeriesHour, hours: Sequence[datetime]) -> list[Part]:
        """The series in all of `hours` together."""
        key = (series.tenant_no, tuple(sorted(hours)))
        if key not in self._read:
            self._read[key] = self._parts(*key)
        if series.dimension == "tenant_id":
            return self._read[key]
        return [part for part in self._read[key] if part.feature == series.value]

    def _parts(self, tenant_no: int, hours: tuple[datetime, ...]) -> list[Part]:
        start, end = hours[0], hours[-1] + HOUR
        columns = "feature, agent_id, model"
        exact = _exact_hours(f"{columns}, ", _MEASURES, f"1, {columns}")
        summed = ", ".join(f"sum({name})::bigint AS {name}" for name in Measures.__slots__)
        with self.connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute(
                f"SELECT {columns}, {summed} FROM ({exact}) AS exact WHERE hour = ANY(%(hours)s) GROUP BY {columns}",
                {
                    **_range({tenant_no}, start, end),
                    # A lone hour is the tested one, still running: its minutes are at hand.
                    "dirty": list(hours) if len(hours) == 1 else _dirty_hours(self.connection, start, end),
                    "hours": list(hours),
                },
            )
            return [Part(row["feature"], row["agent_id"], row["model"], _measures(row)) for row in cursor]


def open_hours(connection: Connection, now: datetime) -> set[SeriesHour]:
    """Every series with calls in a window that is still open: tested again on assignment."""
    with connection.transaction():
        rows = connection.execute(
            f"SELECT DISTINCT tenant_no, feature, {_HOUR} FROM {_MINUTES} WHERE bucket >= %s", [hour_of(now) - HOUR]
        ).fetchall()
    features = {SeriesHour(tenant, "feature", feature, hour.astimezone(UTC)) for tenant, feature, hour in rows}
    return features | {SeriesHour(series.tenant_no, "tenant_id", "", series.hour) for series in features}


def _range(tenants: set[int], start: datetime, end: datetime) -> dict[str, Any]:
    return {"tenants": sorted(tenants), "start": start, "end": end}


def _measures(row: dict[str, int]) -> Measures:
    return Measures(**{name: int(row[name]) for name in Measures.__slots__ if name in row})
