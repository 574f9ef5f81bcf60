"""Detection against committed totals: reads the touched series, asks the pure rule, keeps what it found once.

Call `detect` after COMMIT, at most about once a second per worker, with the series touched meanwhile. One query reads
the open hours of the touched tenants from the exact minute rollup; only series over the rule's floors, and not yet
known as spikes, cost a second query for 7 days of hour totals, which a `UsualHours` kept by the worker answers for a
minute. Several workers, a replay or a rebalance find the same spikes again; the key (rule, series, window) keeps one.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from services.processor.spike_causes import explain
from services.processor.spike_totals import Connection, PartsReader, UsualHours, hours_before, open_hours, open_totals
from services.processor.spikes import (
    HOUR,
    HOUR_OVER_USUAL,
    Dimension,
    Excess,
    HourTotals,
    SeriesHour,
    SpikeRule,
    evaluate,
    is_open,
    touched_series,
)

__all__ = ["Spike", "UsualHours", "detect", "mark_relayed", "open_hours", "touched_series", "unrelayed"]

RELAY_BATCH_MAX = 100


@dataclass(frozen=True, slots=True)
class Spike:
    """A row of `spike`. `value` is the feature, or the tenant's id where `dimension` is tenant_id."""

    spike_id: uuid.UUID
    rule: str
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
    connection: Connection,
    touched: Iterable[SeriesHour],
    now: datetime,
    *,
    usual_hours: UsualHours | None = None,
    rule: SpikeRule = HOUR_OVER_USUAL,
) -> list[Spike]:
    """The new spikes among `touched` at stream time `now`, stored. `connection` must not be inside a transaction.

    Raises psycopg.Error; nothing is lost by then, the next call for the same series finds the same.
    """
    touched = set(touched)
    memory = usual_hours or UsualHours()
    memory.forget(touched)
    open_series = {series for series in touched if is_open(series.hour, now)}
    if not open_series:
        return []
    with connection.transaction():
        # One snapshot: the marks of stale buckets must belong to the totals that are read.
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        found = _find(connection, open_series, now, memory, rule)
    return _insert(connection, found) if found else []


def _find(
    connection: Connection, series: set[SeriesHour], now: datetime, memory: UsualHours, rule: SpikeRule
) -> list[tuple[int, Spike]]:
    candidates = _over_floors(connection, series, rule)
    if not candidates:
        return []
    names = dict(
        connection.execute(
            "SELECT tenant_no, tenant_id FROM tenant WHERE tenant_no = ANY(%s)",
            [sorted({s.tenant_no for s in candidates})],
        ).fetchall()
    )
    found, reader = [], PartsReader(connection)
    # Features before their tenant: the narrower one is the better news.
    for one in sorted(candidates, key=lambda s: (s.tenant_no, s.hour, s.dimension, s.value)):
        history = hours_before(connection, one, now, memory, rule.history_hours)
        excess = evaluate(candidates[one], history, rule)
        if excess is not None:
            found.append((one.tenant_no, _describe(reader, one, names[one.tenant_no], excess, now, rule)))
    return found


def _over_floors(connection: Connection, series: set[SeriesHour], rule: SpikeRule) -> dict[SeriesHour, HourTotals]:
    """The series' totals where they reach the rule's floors and no spike is known yet."""
    tenants = {one.tenant_no for one in series}
    start, end = min(one.hour for one in series), max(one.hour for one in series) + HOUR
    known = connection.execute(
        "SELECT tenant_no, dimension, CASE dimension WHEN 'tenant_id' THEN '' ELSE value END, window_start FROM spike "
        "WHERE rule = %s AND tenant_no = ANY(%s) AND window_start >= %s AND window_start < %s",
        [rule.name, sorted(tenants), start, end],
    ).fetchall()
    left = series - {SeriesHour(tenant, dim, value, hour.astimezone(UTC)) for tenant, dim, value, hour in known}
    totals = open_totals(connection, tenants, start, end) if left else {}
    return {
        one: HourTotals(one.hour, totals[one])
        for one in left
        if one in totals and totals[one].cost_pico_usd >= rule.floor_pico_usd and totals[one].calls >= rule.calls_min
    }


def _describe(
    reader: PartsReader, series: SeriesHour, tenant_id: str, excess: Excess, now: datetime, rule: SpikeRule
) -> Spike:
    usual = reader.parts(series, [totals.hour for totals in excess.basis])
    explanation = explain(series, tenant_id, excess, reader.parts(series, [series.hour]), usual)
    return Spike(
        spike_id=uuid.uuid4(),
        rule=rule.name,
        tenant_id=tenant_id,
        dimension=series.dimension,
        value=tenant_id if series.dimension == "tenant_id" else series.value,
        window_start=series.hour,
        window_end=series.hour + HOUR,
        observed_pico_usd=excess.observed.measures.cost_pico_usd,
        usual_pico_usd=excess.usual_pico_usd,
        cause=explanation.cause,
        evidence=explanation.evidence,
        detected_at=now,
    )


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
