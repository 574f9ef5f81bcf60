"""The SQL of an audit. Names come from the declared rollups, values are parameters, tenants literal numbers.

Each statement runs in the audit's one snapshot. Ranges are half-open, `%(start)s` to `%(end)s`, on bucket edges.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.audit.measures import EVENT_ROLLUPS, Compared, adjusted, compared, compared_units, hashed
from services.contracts.rollups import LEVEL_SECONDS, UNITS, USAGE, Level, Rollup

DIFFERENCES_MAX = 500
_EPOCH = "TIMESTAMPTZ '1970-01-01 00:00:00+00'"
_ADJUSTED_ON = "USING (tenant_no, event_key, occurred_at)"
# The finest bucket anything is compared in.
_FINEST: Level = "minute"

Relation = tuple[Rollup, Level]


def floor_sql(level: Level, column: str) -> str:
    """The start of the bucket a moment falls in."""
    return f"date_bin(INTERVAL '{LEVEL_SECONDS[level]} seconds', {column}, {_EPOCH})"


def within(column: str, tenants: tuple[int, ...] | None = None, prefix: str = "") -> str:
    """The condition for a range, and for some tenants where not all are meant."""
    condition = f"{prefix}{column} >= %(start)s AND {prefix}{column} < %(end)s"
    if tenants is None:
        return condition
    numbers = ",".join(str(int(number)) for number in tenants)
    return f"{condition} AND {prefix}tenant_no = ANY('{{{numbers}}}'::integer[])"


def differences(relations: Sequence[Relation], tenants: tuple[int, ...] | None) -> str:
    """(relation, bucket, tenant_no, measure, expected, found) where a rollup does not say what the raw events say.

    One scan of the raw events, whatever number of rollups is compared.
    """
    ctes = [f"adjusted AS MATERIALIZED ({adjusted(within('occurred_at', tenants))})", _raw(relations, tenants)]
    if any(rollup == UNITS for rollup, _ in relations):
        ctes.append(_raw_units(tenants))
    arms = [
        _compare(rollup.view(level), level, _names(rollup), _found(rollup, level, tenants), _source(rollup))
        for rollup, level in relations
    ]
    return f"WITH {', '.join(ctes)} SELECT * FROM ({' UNION ALL '.join(arms)}) AS d LIMIT {DIFFERENCES_MAX}"


def _source(rollup: Rollup) -> tuple[str, str]:
    return ("raw_units", "") if rollup == UNITS else ("raw", f"{rollup.name}:")


def _names(rollup: Rollup) -> tuple[Compared, ...]:
    return compared_units() if rollup == UNITS else compared(rollup)


def _raw(relations: Sequence[Relation], tenants: tuple[int, ...] | None) -> str:
    wanted = {
        f"{rollup.name}:{one.name}": one.raw
        for rollup in EVENT_ROLLUPS
        if any(rollup == other for other, _ in relations)
        for one in compared(rollup)
    }
    # Sums that several rollups have are computed once: PostgreSQL finds equal aggregates itself.
    columns = ", ".join(f'{raw} AS "{name}"' for name, raw in wanted.items())
    return (
        f"raw AS MATERIALIZED (SELECT {floor_sql(_FINEST, 'e.occurred_at')} AS bucket, e.tenant_no, {columns} "
        f"FROM ({hashed(within('occurred_at', tenants, 'e.'))}) AS e LEFT JOIN adjusted AS a {_ADJUSTED_ON} "
        "GROUP BY 1, 2)"
    ).replace(", FROM", " FROM")


def _raw_units(tenants: tuple[int, ...] | None) -> str:
    columns = ", ".join(f'{one.raw} AS "{one.name}"' for one in compared_units())
    return (
        f"raw_units AS MATERIALIZED (SELECT {floor_sql('hour', 'e.occurred_at')} AS bucket, e.tenant_no, {columns} "
        "FROM usage_event AS e CROSS JOIN LATERAL (SELECT key AS unit, value::bigint AS quantity "
        "FROM json_each_text(e.units::json)) AS u "
        f"WHERE e.units IS NOT NULL AND {within('occurred_at', tenants, 'e.')} GROUP BY 1, 2)"
    )


def _found(rollup: Rollup, level: Level, tenants: tuple[int, ...] | None) -> str:
    sums = ", ".join(f'{one.rollup} AS "{one.name}"' for one in _names(rollup))
    return f"SELECT bucket, tenant_no, {sums} FROM {rollup.view(level)} WHERE {within('bucket', tenants)} GROUP BY 1, 2"


def _compare(relation: str, level: Level, measures: Sequence[Compared], found: str, source: tuple[str, str]) -> str:
    table, prefix = source
    sums = ", ".join(f'sum("{prefix}{one.name}") AS "{one.name}"' for one in measures)
    expected = f"SELECT {floor_sql(level, 'bucket')} AS bucket, tenant_no, {sums} FROM {table} GROUP BY 1, 2"
    return _joined(relation, [one.name for one in measures], expected, found)


def _joined(relation: str, names: Sequence[str], expected: str, found: str) -> str:
    pairs = ", ".join(
        f"""('{name}', coalesce(r."{name}", 0)::numeric, coalesce(f."{name}", 0)::numeric)""" for name in names
    )
    equal = " AND ".join(f"""coalesce(r."{name}", 0) = coalesce(f."{name}", 0)""" for name in names)
    return (
        f"(SELECT '{relation}' AS relation, bucket, tenant_no, m.measure, m.expected, m.found "
        f"FROM ({expected}) AS r FULL JOIN ({found}) AS f USING (bucket, tenant_no) "
        f"CROSS JOIN LATERAL (VALUES {pairs}) AS m(measure, expected, found) "
        f"WHERE NOT ({equal}) AND m.expected <> m.found)"
    )


def days_against_hours(rollups: Sequence[Rollup], tenants: tuple[int, ...] | None) -> str:
    """The same rows where a day does not say what its hours say."""
    arms = []
    for rollup in rollups:
        sums = ", ".join(f'{one.rollup} AS "{one.name}"' for one in _names(rollup))
        hours = (
            f"SELECT {floor_sql('day', 'bucket')} AS bucket, tenant_no, {sums} FROM {rollup.view('hour')} "
            f"WHERE {within('bucket', tenants)} GROUP BY 1, 2"
        )
        names = [one.name for one in _names(rollup)]
        arms.append(_joined(rollup.view("day"), names, hours, _found(rollup, "day", tenants)))
    return f"SELECT * FROM ({' UNION ALL '.join(arms)}) AS d LIMIT {DIFFERENCES_MAX}"


def identities(tenants: tuple[int, ...] | None) -> str:
    """The same rows where the identities are not those of the raw events, by hour."""
    columns = 'count(*) AS events, sum(uuid_hash_extended(event_key, 0)) AS "event keys"'
    hour = f"SELECT {floor_sql('hour', 'occurred_at')} AS bucket, tenant_no, {columns} FROM"
    expected = f"{hour} usage_event WHERE {within('occurred_at', tenants)} GROUP BY 1, 2"
    found = f"{hour} event_identity WHERE {within('occurred_at', tenants)} GROUP BY 1, 2"
    return f"{_joined('event_identity', ['events', 'event keys'], expected, found)} LIMIT {DIFFERENCES_MAX}"


def unpriced(tenants: tuple[int, ...] | None) -> str:
    """The same rows where the events in line for a price are not those without one."""
    healed = (
        "SELECT tenant_no, event_key, occurred_at FROM cost_adjustment "
        f"WHERE heals_unpriced AND {within('occurred_at')}"
    )
    hour = f"SELECT {floor_sql('hour', 'occurred_at')} AS bucket, tenant_no, count(*) AS events FROM"
    expected = (
        f"{hour} usage_event AS e WHERE cost_pico_usd IS NULL AND {within('occurred_at', tenants)} "
        f"AND NOT EXISTS (SELECT FROM ({healed}) AS h WHERE (h.tenant_no, h.event_key, h.occurred_at) "
        "= (e.tenant_no, e.event_key, e.occurred_at)) GROUP BY 1, 2"
    )
    found = f"{hour} unpriced_event WHERE {within('occurred_at', tenants)} GROUP BY 1, 2"
    return f"{_joined('unpriced_event', ['events'], expected, found)} LIMIT {DIFFERENCES_MAX}"


def attempts(tenants: tuple[int, ...] | None) -> str:
    """The same rows where the requests, each the sum of its attempts, are not what the hour says. A request belongs to
    the hour of each of its attempts."""
    expected = (
        "SELECT bucket, tenant_no, sum(calls) AS calls, sum(cost) AS billed_pico_usd FROM "
        f"(SELECT {floor_sql('hour', 'occurred_at')} AS bucket, tenant_no, "
        "CASE request_id WHEN '' THEN uuid_hash_extended(event_key, 1) ELSE hashtextextended(request_id, 0) END "
        "AS request, count(*) AS calls, "
        "sum(coalesce(cost_pico_usd, 0)) AS cost FROM usage_event "
        f"WHERE {within('occurred_at', tenants)} GROUP BY 1, 2, 3) AS q GROUP BY 1, 2"
    )
    found = (
        f"SELECT {floor_sql('hour', 'bucket')} AS bucket, tenant_no, sum(calls) AS calls, "
        f"sum(billed_pico_usd) AS billed_pico_usd FROM {USAGE.view('minute')} "
        f"WHERE {within('bucket', tenants)} GROUP BY 1, 2"
    )
    return f"{_joined('requests', ['calls', 'billed_pico_usd'], expected, found)} LIMIT {DIFFERENCES_MAX}"


def runs(tenants: tuple[int, ...] | None) -> str:
    """The same rows, and run_id, for runs that began in the range: totals, first and last call against raw events."""
    key = "tenant_no, run_id, kafka_partition"
    names = ("calls", "unpriced_events", "billed_pico_usd", "adjustment_pico_usd", "started_us", "ended_us")
    micros = "(extract(epoch FROM {}) * 1000000)::bigint"
    expected = (
        "SELECT e.tenant_no, e.run_id, e.kafka_partition, count(*) AS calls, coalesce(sum(e.cost_pico_usd), 0) "
        "AS billed_pico_usd, count(*) FILTER (WHERE e.cost_pico_usd IS NULL AND a.healed IS NOT TRUE) "
        "AS unpriced_events, sum(coalesce(a.delta_pico_usd, 0)) AS adjustment_pico_usd, "
        f"{micros.format('min(e.occurred_at)')} AS started_us, {micros.format('max(e.occurred_at)')} AS ended_us "
        f"FROM r JOIN usage_event AS e USING ({key}) LEFT JOIN adjusted AS a ON a.tenant_no = e.tenant_no "
        "AND a.event_key = e.event_key AND a.occurred_at = e.occurred_at "
        "WHERE e.run_id <> '' AND e.occurred_at >= %(start)s AND e.occurred_at <= %(last)s GROUP BY 1, 2, 3"
    )
    pairs = ", ".join(f"('{name}', coalesce(x.{name}, 0)::numeric, r.{name}::numeric)" for name in names)
    return (
        f"WITH r AS MATERIALIZED (SELECT {key}, calls, unpriced_events, billed_pico_usd, adjustment_pico_usd, "
        f"{micros.format('started_at')} AS started_us, {micros.format('ended_at')} AS ended_us, started_at "
        f"FROM run_base WHERE {within('started_at', tenants)}), "
        f"adjusted AS MATERIALIZED ({adjusted('occurred_at >= %(start)s AND occurred_at <= %(last)s')}), "
        f"x AS ({expected}) "
        f"SELECT 'run_base', {floor_sql('hour', 'r.started_at')}, r.tenant_no, r.run_id || ': ' || m.measure, "
        f"m.expected, m.found FROM r LEFT JOIN x USING ({key}) "
        f"CROSS JOIN LATERAL (VALUES {pairs}) AS m(measure, expected, found) WHERE m.expected <> m.found "
        f"LIMIT {DIFFERENCES_MAX}"
    )


def runs_missing(tenants: tuple[int, ...] | None) -> str:
    """The same rows for calls of a run that is not there."""
    return (
        f"SELECT 'run_base', {floor_sql('hour', 'e.occurred_at')}, e.tenant_no, e.run_id || ': calls', "
        "count(*)::numeric, 0::numeric FROM usage_event AS e LEFT JOIN run_base AS r USING (tenant_no, run_id, "
        f"kafka_partition) WHERE e.run_id <> '' AND r.run_id IS NULL AND {within('occurred_at', tenants, 'e.')} "
        f"GROUP BY 2, 3, 4 LIMIT {DIFFERENCES_MAX}"
    )
