"""A store that was made before there were families summed from others gets them, built from what it keeps."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import psycopg

from deploy.timescale.migrate import migrate
from services.contracts.rollups import NARROWED
from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.processor.retention import read_floors
from tests.contract.storage.harness import Harness
from tests.ledger import Books

BUILT = [(rollup, level) for rollup in NARROWED for level in rollup.built_levels]


def told(harness: Harness) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every narrower level."""
    with psycopg.connect(harness.dsn) as connection:
        found = {}
        for rollup, level in BUILT:
            order = ", ".join(("bucket", "tenant_no", *rollup.dimensions))
            query = f"SELECT * FROM {rollup.view(level)} ORDER BY {order}"
            found[rollup.view(level)] = connection.execute(query.encode()).fetchall()
        return found


def make_as_before(harness: Harness) -> None:
    """The store as it was one revision earlier."""
    with psycopg.connect(harness.dsn, autocommit=True) as connection:
        timescale = connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'").fetchone()
        for rollup, level in reversed(BUILT):
            kind, suffix = ("MATERIALIZED VIEW", "") if timescale else ("TABLE", "_mat")
            connection.execute(f"DROP {kind} {rollup.view(level)}{suffix} CASCADE".encode())
        connection.execute("DELETE FROM retention_floor")
        connection.execute("UPDATE alembic_version SET version_num = '0006'")


def test_a_migration_builds_them_from_what_is_kept(harness: Harness, own: Callable[..., Books]) -> None:
    producer = own()
    for hours in (1, 3, 30, 50):
        at = producer.now - timedelta(hours=hours)
        events = [producer.event(tenant, at) for tenant in producer.tenants for _ in range(20)]
        harness.apply(harness.message(usage_pb2.UsageBatch(events=events), at))
    harness.refresh(producer.now)
    before = told(harness)
    assert all(before.values())
    make_as_before(harness)
    migrate(harness.dsn)
    assert told(harness) == before
    # What comes late changes them like every level.
    late = usage_pb2.UsageBatch(
        events=[producer.event(t, producer.now - timedelta(hours=30)) for t in producer.tenants]
    )
    harness.apply(harness.message(late, producer.now))
    harness.refresh(producer.now)
    calls = {harness.one(f"SELECT sum(calls)::bigint FROM {view}")[0] for view in before}
    assert calls == {harness.one("SELECT count(*) FROM usage_event")[0]}


def test_what_is_kept_from_some_day_on_is_told_from_that_day_on(harness: Harness, own: Callable[..., Books]) -> None:
    floor = own().now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=40)
    make_as_before(harness)
    with psycopg.connect(harness.dsn) as connection:
        connection.execute("INSERT INTO retention_floor VALUES ('usage_hour', %s, now())", (floor,))
    migrate(harness.dsn)
    with psycopg.connect(harness.dsn) as connection:
        floors = read_floors(connection)
        connection.execute("DELETE FROM retention_floor")
    assert floors == dict.fromkeys(("usage_hour", "provider_hour", "provider_day"), floor)
