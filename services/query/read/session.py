"""One snapshot for all that one answer reads, and in it no more than the caller may see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, Final

from psycopg import AsyncConnection, sql
from psycopg_pool import AsyncConnectionPool

from services.contracts.isolation import API_ROLE, SCHEMA, TENANT_SETTING
from services.contracts.keys import Principal

STATEMENT_SECONDS_MAX = 20
# Who asks, set where callers are found (`services.query.auth`). Without one a transaction sees no tenant at all.
CALLER: ContextVar[Principal | None] = ContextVar("caller", default=None)
_NOBODY: Final = ""
_SNAPSHOT = sql.SQL("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
# The role sees views of one tenant under the names of the tables; it has no right to the tables themselves.
_CONFINED = sql.SQL("; SET LOCAL ROLE {role}; SET LOCAL search_path = {schema}, public; SET LOCAL {setting} = {tenant}")


@asynccontextmanager
async def reading(pool: AsyncConnectionPool[Any], *, of_all: bool = False) -> AsyncIterator[AsyncConnection[Any]]:
    """A connection in one REPEATABLE READ, READ ONLY transaction: rows, totals and the list of stale buckets agree.

    The database shows it the tenant of the caller's key and nothing else; a key of all tenants, and work of the
    service's own that says `of_all`, are shown everything.
    """
    caller = CALLER.get()
    async with pool.connection() as conn, conn.transaction():
        if of_all or (caller is not None and caller.tenant_id is None):
            await conn.execute(_SNAPSHOT)
        else:
            await conn.execute(_SNAPSHOT + _confined(caller.tenant_id if caller is not None else None))
        yield conn


def _confined(tenant_id: str | None) -> sql.Composed:
    return _CONFINED.format(
        role=sql.Identifier(API_ROLE),
        schema=sql.Identifier(SCHEMA),
        setting=sql.Identifier(*TENANT_SETTING.split(".")),
        tenant=sql.Literal(tenant_id or _NOBODY),
    )
