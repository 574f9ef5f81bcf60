"""Compression on TimescaleDB: which columns, from what age on. The policies are TimescaleDB's own background jobs."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from services.contracts.retention import Kept, Retention


def compression_statements(retention: Retention, only: Collection[str] = ()) -> Iterator[str]:
    """Enables the columnstore and sets its policy for every relation that has one, replacing a policy there was.
    `only`: for these."""
    for kept in retention.relations():
        if kept.compress_after_days is None or (only and kept.name not in only):
            continue
        table = kept.table(timescale=True)
        kind = "TABLE" if kept.base else "MATERIALIZED VIEW"
        yield f"ALTER {kind} {table} SET ({', '.join(_options(kept))})"
        yield f"CALL remove_columnstore_policy('{table}', if_exists => true)"
        yield f"CALL add_columnstore_policy('{table}', after => INTERVAL '{kept.compress_after_days} days')"


def _options(kept: Kept) -> list[str]:
    # Every question names a tenant and a range.
    return [
        "timescaledb.enable_columnstore = true",
        "timescaledb.segmentby = 'tenant_no'",
        f"timescaledb.orderby = '{kept.time_column}'",
    ]
