"""Detection against committed totals: reads the touched series, asks the pure rules, keeps what they found once.

Call `detect` after COMMIT, at most about once a second per worker, with the series touched meanwhile. One query reads
the open hours of the touched tenants from the exact minute rollup, by feature, agent, model and tenant; only series
over the rules' floors need their past, which a `UsualHours` kept by the worker remembers. Several workers, a replay or
a rebalance find the same spikes again; the key (rule, series, window) keeps one.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from services.processor.spike_calendar import Calendar, calendar_of
from services.processor.spike_causes import explain
from services.processor.spike_fast import LOOK_BACK, MINUTE, earlier_spans, minute_of
from services.processor.spike_past import UsualHours
from services.processor.spike_rules import Seen, day_looked_at, excesses, is_worth_a_look
from services.processor.spike_totals import (
    Connection,
    PartsReader,
    minute_totals,
    minutes_of,
    open_hours,
    open_totals,
    series_of,
)
from services.processor.spikes import (
    AHEAD,
    HOUR,
    Dimension,
    Excess,
    HourTotals,
    Measures,
    RuleName,
    SeriesHour,
    hour_of,
    is_open,
    touched_series,
)

__all__ = ["Spike", "UsualHours", "detect", "mark_relayed", "open_hours", "touched_series", "unrelayed"]

RELAY_BATCH_MAX = 100
_NARROWEST_FIRST: tuple[Dimension, ...] = ("feature", "agent_id", "model", "tenant_id")


@dataclass(frozen=True, slots=True)
class Spike:
    """A row of `spike`. `value` is the feature, agent or model, the tenant's id where `dimension` is tenant_id."""

    spike_id: uuid.UUID
    rule: RuleName
    tenant_id: str
    dimension: Dimension
    value: str
    window_start: datetime
    window_end: datetime
    observed_pico_usd: int
    usual_pico_usd: int
    cause: str
    evidence: dict[str, Any]
    detected_at: datetime


def detect(
    connection: Connection, touched: Iterable[SeriesHour], now: datetime, *, usual_hours: UsualHours | None = None
) -> list[Spike]:
    """The new spikes of the tenants in `touched` at stream time `now`, stored. `connection` must not be inside a
    transaction.

    Raises psycopg.Error; nothing is lost by then, the next call for the same series finds the same.
    """
    touched = set(touched)
    memory = usual_hours or UsualHours()
    open_series = {series for series in touched if is_open(series.hour, now)}
    memory.forget(touched - open_series)
    if not open_series:
        return []
    tenants, hours = {series.tenant_no for series in open_series}, {series.hour for series in open_series}
    with connection.transaction():
        # One snapshot: the marks of stale buckets must belong to the totals that are read.
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        found = _find(connection, tenants, hours, now, memory)
    return _insert(connection, found) if found else []


def _find(
    connection: Connection, tenants: set[int], hours: set[datetime], now: datetime, memory: UsualHours
) -> list[tuple[int, Spike]]:
    totals = open_totals(connection, tenants, min(hours), max(hours) + HOUR)
    worth = {
        series: HourTotals(series.hour, measures)
        for series, measures in totals.items()
        if series.hour in hours and is_worth_a_look(measures)
    }
    if not worth:
        return []
    tenants, running = {series.tenant_no for series in worth}, minute_of(now)
    minutes = minute_totals(connection, tenants, running - LOOK_BACK, running + MINUTE)
    known = _known(connection, tenants, now)
    names, calendars = _tenants(connection, tenants)
    days = _Days(connection, now)
    found, reader = [], PartsReader(connection)
    # Features before their tenant: the narrower one is the better news.
    for one in sorted(worth, key=_order):
        calendar = calendars[one.tenant_no]
        day, of_day = days.of(one, worth[one].measures, calendar)
        past = memory.of(connection, one.tenant_no, one.hour, now, day, calendar).get(series_of(one))
        if past is None:
            continue
        is_now = one.hour == hour_of(now)
        seen = Seen(worth[one], past, minutes.get(series_of(one), ()) if is_now else (), now, day, of_day, calendar)

        def earlier(start: datetime, one: SeriesHour = one, calendar: Calendar = calendar) -> list[HourTotals]:
            return minutes_of(connection, one, earlier_spans(start, calendar))

        found += [
            (one.tenant_no, _describe(reader, one, names[one.tenant_no], excess, now))
            for excess in excesses(seen, earlier)
            if (excess.rule, *series_of(one), excess.observed.hour) not in known
        ]
    return found


@dataclass(slots=True)
class _Days:
    """Which local day an hour is looked at as a part of, and how much of it lies in it; all of it but where a day
    begins within the hour.
    """

    connection: Connection
    now: datetime
    _parts: dict[tuple[int, datetime], Mapping[SeriesHour, Measures]] = field(default_factory=dict)

    def of(self, one: SeriesHour, whole: Measures, calendar: Calendar) -> tuple[date, Measures]:
        day, start, end = day_looked_at(one.hour, self.now, calendar)
        if end - start == HOUR:
            return day, whole
        key = one.tenant_no, one.hour
        if key not in self._parts:
            self._parts[key] = open_totals(self.connection, {one.tenant_no}, start, end)
        return day, self._parts[key].get(one, Measures())


def _tenants(connection: Connection, tenants: set[int]) -> tuple[dict[int, str], dict[int, Calendar]]:
    rows = connection.execute(
        "SELECT tenant_no, tenant_id, tz FROM tenant WHERE tenant_no = ANY(%s)", [sorted(tenants)]
    ).fetchall()
    calendars = {tz: calendar_of(tz) for _, _, tz in rows}
    return {number: name for number, name, _ in rows}, {number: calendars[tz] for number, _, tz in rows}


def _order(series: SeriesHour) -> tuple[int, datetime, int, str]:
    return series.tenant_no, series.hour, _NARROWEST_FIRST.index(series.dimension), series.value


def _known(connection: Connection, tenants: set[int], now: datetime) -> set[tuple[object, ...]]:
    """Rule, series and window of the spikes whose window isn't over for long."""
    rows = connection.execute(
        "SELECT rule, tenant_no, dimension, CASE dimension WHEN 'tenant_id' THEN '' ELSE value END, window_start "
        "FROM spike WHERE tenant_no = ANY(%s) AND window_end > %s",
        [sorted(tenants), now - 2 * HOUR],
    ).fetchall()
    return {(rule, tenant, dimension, value, start.astimezone(UTC)) for rule, tenant, dimension, value, start in rows}


def _describe(reader: PartsReader, series: SeriesHour, tenant_id: str, excess: Excess, now: datetime) -> Spike:
    start, end = excess.observed.hour, excess.observed.hour + excess.window
    if excess.rule == "minutes_over_usual":
        parts = reader.minutes(series, excess.measured_from, minute_of(now) + MINUTE - excess.measured_from)
    else:
        parts = reader.between(series, excess.measured_from, _measured_until(excess, now))
    explanation = explain(series, tenant_id, excess, parts, reader.parts(series, excess.basis))
    return Spike(
        spike_id=uuid.uuid4(),
        rule=excess.rule,
        tenant_id=tenant_id,
        dimension=series.dimension,
        value=tenant_id if series.dimension == "tenant_id" else series.value,
        window_start=start,
        window_end=end,
        observed_pico_usd=excess.observed.measures.cost_pico_usd,
        usual_pico_usd=excess.usual_pico_usd,
        cause=explanation.cause,
        evidence=explanation.evidence,
        detected_at=now,
    )


def _measured_until(excess: Excess, now: datetime) -> datetime:
    """Of a window that is running, the hours that have begun; events may be a little ahead."""
    return min(excess.measured_from + excess.measured, hour_of(now + AHEAD) + HOUR)


def _insert(connection: Connection, found: Sequence[tuple[int, Spike]]) -> list[Spike]:
    """Stores what no other worker has. READ COMMITTED, so that a racing worker's row is a conflict and not an error."""
    new = []
    with connection.transaction():
        for tenant_no, spike in found:
            inserted = connection.execute(
                "INSERT INTO spike (spike_id, rule, tenant_no, dimension, value, window_start, window_end, "
                "observed_pico_usd, usual_pico_usd, evidence, cause, detected_at) "
                "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) "
                "ON CONFLICT (rule, tenant_no, dimension, value, window_start) DO NOTHING RETURNING spike_id",
                [
                    spike.spike_id, spike.rule, tenant_no, spike.dimension, spike.value, spike.window_start,
                    spike.window_end, spike.observed_pico_usd, spike.usual_pico_usd, Jsonb(spike.evidence), spike.cause,
                    spike.detected_at,
                ],
            ).fetchone()  # fmt: skip
            if inserted is not None:
                new.append(spike)
    return new


def unrelayed(connection: Connection, limit: int = RELAY_BATCH_MAX) -> list[Spike]:
    """Spikes that Kafka has not acknowledged yet, oldest first."""
    columns = ", ".join(name for name in Spike.__slots__)
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            f"SELECT {columns} FROM spike JOIN tenant USING (tenant_no) WHERE relayed_at IS NULL "
            "ORDER BY detected_at, spike_id LIMIT %s",
            [limit],
        )
        return [Spike(**row) for row in cursor]


def mark_relayed(connection: Connection, spike_ids: Sequence[uuid.UUID], now: datetime) -> None:
    """Call it with what Kafka has acknowledged, and nothing else."""
    with connection.transaction():
        connection.execute(
            "UPDATE spike SET relayed_at = %s WHERE spike_id = ANY(%s) AND relayed_at IS NULL", [now, list(spike_ids)]
        )
