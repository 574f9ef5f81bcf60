"""Two connections of one answer see the same, and both no more than who asks may see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from services.contracts.keys import Principal, Role
from services.query.read.session import CALLER, at_once, beside, reading
from tests.integration.query.store import add_tenant

Pool = AsyncConnectionPool[psycopg.AsyncConnection]
TENANTS = "SELECT array_agg(tenant_id ORDER BY tenant_id) FROM tenant WHERE tenant_id LIKE 'beside-%'"


@pytest.fixture(scope="module", autouse=True)
def seeded(database: str) -> None:
    with psycopg.connect(database) as conn:
        for name in ("beside-a", "beside-b"):
            add_tenant(conn, name)


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    async with AsyncConnectionPool(database, min_size=2, max_size=2, open=False) as opened:
        await opened.wait()
        yield opened


def asks(role: Role, tenant_id: str | None) -> None:
    CALLER.set(Principal("key", "test", role, tenant_id))


async def told(conn: psycopg.AsyncConnection) -> list[str] | None:
    row = await (await conn.execute(TENANTS)).fetchone()
    found: list[str] | None = row[0] if row else None
    return found


async def test_both_see_one_snapshot(pool: Pool, database: str) -> None:
    asks("admin", None)
    async with reading(pool) as conn:
        await told(conn)
        with psycopg.connect(database) as writing:
            add_tenant(writing, "beside-c")
        async with beside(pool, conn) as other:
            assert other is not conn
            assert await at_once(told(conn), told(other)) == (["beside-a", "beside-b"], ["beside-a", "beside-b"])
    with psycopg.connect(database) as writing:
        writing.execute("DELETE FROM tenant WHERE tenant_id = 'beside-c'")


async def test_the_second_shows_a_tenants_key_that_tenant_alone(pool: Pool) -> None:
    asks("viewer", "beside-b")
    async with reading(pool) as conn, beside(pool, conn) as other:
        assert await at_once(told(conn), told(other)) == (["beside-b"], ["beside-b"])
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await other.execute("SELECT FROM public.usage_event")


async def test_where_none_is_idle_one_does_both_in_turn(pool: Pool) -> None:
    asks("admin", None)
    async with reading(pool), reading(pool) as conn, asyncio.timeout(5), beside(pool, conn) as other:
        assert other is conn
        assert await at_once(told(conn), told(other)) == (["beside-a", "beside-b"], ["beside-a", "beside-b"])


async def test_what_fails_is_told_when_both_are_done(pool: Pool) -> None:
    asks("admin", None)
    ended = []

    async def slow(conn: psycopg.AsyncConnection) -> None:
        await conn.execute("SELECT pg_sleep(0.2)")
        ended.append(True)

    async def wrong(conn: psycopg.AsyncConnection) -> None:
        await conn.execute("SELECT 1 / 0")

    with pytest.raises(psycopg.errors.DivisionByZero):
        async with reading(pool) as conn, beside(pool, conn) as other:
            await at_once(wrong(conn), slow(other))
    assert ended == [True]
