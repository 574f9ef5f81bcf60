"""One snapshot for all that one answer reads, and in it no more than the caller may see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from typing import Any, Final, TypeVar

from psycopg import AsyncConnection, sql
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from services.contracts.isolation import API_ROLE, SCHEMA, TENANT_SETTING
from services.contracts.keys import Principal

STATEMENT_SECONDS_MAX = 20
# Who asks, set where callers are found (`services.query.auth`). Without one a transaction sees no tenant at all.
CALLER: ContextVar[Principal | None] = ContextVar("caller", default=None)
_NOBODY: Final = ""
# How long a second connection is waited for. Whoever has one already must not wait for others who have one, too.
_BESIDE_SECONDS_MAX: Final = 0.02
_SNAPSHOT = sql.SQL("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
# The role sees views of one tenant under the names of the tables; it has no right to the tables themselves.
_CONFINED = sql.SQL("; SET LOCAL ROLE {role}; SET LOCAL search_path = {schema}, public; SET LOCAL {setting} = {tenant}")


@asynccontextmanager
async def reading(pool: AsyncConnectionPool[Any], *, of_all: bool = False) -> AsyncIterator[AsyncConnection[Any]]:
    """A connection in one REPEATABLE READ, READ ONLY transaction: rows, totals and the list of stale buckets agree.

    The database shows it the tenant of the caller's key and nothing else; a key of all tenants, and work of the
    service's own that says `of_all`, are shown everything.
    """
    async with pool.connection() as conn, conn.transaction():
        await conn.execute(_SNAPSHOT + _shown(of_all=of_all))
        yield conn


@asynccontextmanager
async def beside(
    pool: AsyncConnectionPool[Any], conn: AsyncConnection[Any], *, of_all: bool = False
) -> AsyncIterator[AsyncConnection[Any]]:
    """Another connection in the snapshot of `conn`, so that the database works at two questions of one answer at the
    same time; `conn` itself where none is idle, which then takes them one after the other. `of_all` as in `reading`."""
    async with AsyncExitStack() as stack:
        try:
            other = await stack.enter_async_context(pool.connection(timeout=_BESIDE_SECONDS_MAX))
        except PoolTimeout:
            yield conn
            return
        row = await (await conn.execute("SELECT pg_export_snapshot()")).fetchone()
        assert row is not None
        await stack.enter_async_context(other.transaction())
        same = sql.SQL("; SET TRANSACTION SNAPSHOT {}").format(sql.Literal(row[0]))
        await other.execute(_SNAPSHOT + same + _shown(of_all=of_all))
        yield other


_One = TypeVar("_One")
_Other = TypeVar("_Other")


async def at_once(one: Awaitable[_One], other: Awaitable[_Other]) -> tuple[_One, _Other]:
    """Both, the second on a connection `beside` that of the first. What either raises is raised when both are done."""
    first, second = await asyncio.gather(one, other, return_exceptions=True)
    if isinstance(first, BaseException):
        raise first
    if isinstance(second, BaseException):
        raise second
    return first, second


def _shown(*, of_all: bool) -> sql.Composable:
    caller = CALLER.get()
    if of_all or (caller is not None and caller.tenant_id is None):
        return sql.SQL("")
    return _confined(caller.tenant_id if caller is not None else None)


def _confined(tenant_id: str | None) -> sql.Composed:
    return _CONFINED.format(
        role=sql.Identifier(API_ROLE),
        schema=sql.Identifier(SCHEMA),
        setting=sql.Identifier(*TENANT_SETTING.split(".")),
        tenant=sql.Literal(tenant_id or _NOBODY),
    )
