"""What a bucket looks like, cheaply: row counts and order-free hashes. One that was right and still looks the same is
not checked again. SQL text only.

Raw events are never changed and only ever added together with their rollup rows and identities, so that counting them
is enough here; `full` audits don't trust that.
"""

from __future__ import annotations

from services.audit.statements import floor_sql, within
from services.contracts.rollups import UNITS, Level, Rollup

_MONEY = ("billed_pico_usd", "adjustment_pico_usd")


def of_rollup(rollup: Rollup, level: Level, tenants: tuple[int, ...] | None) -> str:
    """(bucket, rows, hash, calls, cost, calls of known tenants, cost of known tenants) by hour, days by day."""
    relation = rollup.view(level) if level in rollup.built_levels else rollup.base_table
    partition = () if level in rollup.built_levels else ("kafka_partition",)
    columns = ", ".join(
        f"t.{name}" for name in ("bucket", "tenant_no", *partition, *rollup.dimensions, *rollup.measures)
    )
    calls = "t.quantity" if rollup == UNITS else "t.calls"
    cost = " + ".join(f"t.{name}" for name in _MONEY) if set(_MONEY) <= set(rollup.measures) else "0"
    return (
        f"SELECT {floor_sql('day' if level == 'day' else 'hour', 't.bucket')}, count(*), "
        f"sum(hash_record_extended(ROW({columns}), 0)), sum({calls}), sum({cost}), "
        f"sum({calls}) FILTER (WHERE k.tenant_no IS NOT NULL), sum({cost}) FILTER (WHERE k.tenant_no IS NOT NULL) "
        f"FROM {relation} AS t LEFT JOIN tenant AS k ON k.tenant_no = t.tenant_no "
        f"WHERE {within('bucket', tenants, 't.')} GROUP BY 1"
    )


def of_raw(tenants: tuple[int, ...] | None) -> str:
    """(hour, rows, 0) of the raw events."""
    return (
        f"SELECT {floor_sql('hour', 'occurred_at')}, count(*), 0 FROM usage_event "
        f"WHERE {within('occurred_at', tenants)} GROUP BY 1"
    )


def of_table(table: str, time: str, columns: str, tenants: tuple[int, ...] | None) -> str:
    """(hour, rows, hash) of a table that is small beside the raw events."""
    return (
        f"SELECT {floor_sql('hour', time)}, count(*), sum(hash_record_extended(ROW({columns}), 0)) FROM {table} "
        f"WHERE {within(time, tenants)} GROUP BY 1"
    )


BESIDE_RAW = (
    ("cost_adjustment", "occurred_at", "tenant_no, event_key, delta_pico_usd, heals_unpriced"),
    ("event_identity", "occurred_at", "tenant_no, event_key"),
    ("unpriced_event", "occurred_at", "tenant_no, event_key"),
)
RUNS = (
    "run_base",
    "started_at",
    (
        "tenant_no, run_id, kafka_partition, started_at, ended_at, calls, unpriced_events, billed_pico_usd, "
        "adjustment_pico_usd"
    ),
)
