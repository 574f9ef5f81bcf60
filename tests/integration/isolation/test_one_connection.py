"""Callers that share one connection never see each other's rows: what confines one is gone before the next."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg_pool import AsyncConnectionPool

from services.contracts.isolation import SCHEMA
from services.contracts.keys import Principal
from services.query.read.session import CALLER, reading
from tests.integration.isolation.conftest import TENANTS, Seeded
from tests.integration.isolation.test_sql_roles import views

ROUNDS = 150


@pytest.fixture
async def pool(seeded: Seeded) -> AsyncIterator[AsyncConnectionPool[Any]]:
    async with AsyncConnectionPool(seeded.dsn, min_size=1, max_size=1, open=False) as opened:
        yield opened


def viewer(tenant: str | None) -> Principal:
    return Principal(f"key of {tenant}", "test", "viewer", tenant)


async def shown(pool: AsyncConnectionPool[Any], caller: Principal | None, name: str, column: str) -> set[Any]:
    """Whose rows a statement without any condition gives this caller."""
    CALLER.set(caller)
    async with reading(pool) as conn:
        query = sql.SQL("SELECT DISTINCT {} FROM {}").format(sql.Identifier(column), sql.Identifier(name))
        return {row[0] for row in await (await conn.execute(query)).fetchall()}


async def fail(pool: AsyncConnectionPool[Any], caller: Principal | None, how: int) -> None:
    """Something goes wrong in mid-transaction: an error of SQL, of ours, or the asker went away."""
    CALLER.set(caller)

    async def work() -> None:
        async with reading(pool) as conn:
            if how == 0:
                await conn.execute("SELECT 1 / 0")
            if how == 1:
                raise LookupError
            await conn.execute("SELECT pg_sleep(10)")

    task = asyncio.create_task(work())
    # More than once, as servers do it too: asyncio.wait_for of Python 3.11 can swallow one, in the pool.
    while how == 2 and not task.done():
        await asyncio.sleep(0.02)
        task.cancel()
    with pytest.raises((psycopg.Error, LookupError, asyncio.CancelledError)):
        await task


async def test_two_tenants_interleaved_through_one_connection_never_meet(
    seeded: Seeded, pool: AsyncConnectionPool[Any]
) -> None:
    rng = random.Random(11)
    relations = [
        (name, "tenant_no" if "tenant_no" in columns else "tenant_id")
        for name, columns in views(seeded.dsn).items()
        if columns & {"tenant_no", "tenant_id"}
    ]

    async def ask(caller: str | None, name: str, column: str) -> None:
        wanted: set[Any] = {seeded.numbers[caller] if column == "tenant_no" else caller} if caller else set()
        found = await shown(pool, viewer(caller) if caller else None, name, column)
        assert found == wanted, (caller, name)

    for _ in range(ROUNDS // 10):
        asks = [ask(rng.choice(("alpha", "beta", None)), *rng.choice(relations)) for _ in range(8)]
        failures = [fail(pool, viewer(rng.choice(TENANTS)), rng.randrange(3)) for _ in range(2)]
        mixed = [*asks, *failures]
        rng.shuffle(mixed)
        # Each as a task, as requests are: with a context of its own.
        await asyncio.gather(*[asyncio.create_task(one) for one in mixed])


async def test_keys_of_all_tenants_see_all_and_nobody_sees_nothing(
    seeded: Seeded, pool: AsyncConnectionPool[Any]
) -> None:
    assert await shown(pool, viewer(None), "usage_event", "tenant_no") == set(seeded.numbers.values())
    assert await shown(pool, None, "usage_event", "tenant_no") == set()
    assert await shown(pool, viewer("no such tenant"), "usage_event", "tenant_no") == set()
    assert await shown(pool, viewer("alpha'; RESET ROLE; --"), "usage_event", "tenant_no") == set()


async def test_a_confined_transaction_cannot_read_the_tables(pool: AsyncConnectionPool[Any]) -> None:
    for table in ("usage_event", "api_key", "usage_minute_base", "admin_log"):
        CALLER.set(viewer("alpha"))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with reading(pool) as conn:
                await conn.execute(sql.SQL("SELECT 1 FROM public.{}").format(sql.Identifier(table)))


async def test_names_without_a_schema_are_the_views(pool: AsyncConnectionPool[Any]) -> None:
    CALLER.set(viewer("alpha"))
    async with reading(pool) as conn:
        row = await (await conn.execute("SELECT relnamespace::regnamespace::text FROM pg_class "
                                        "WHERE oid = 'usage_event'::regclass")).fetchone()  # fmt: skip
    assert row == (SCHEMA,)
