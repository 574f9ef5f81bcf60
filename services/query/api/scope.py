"""Whose figures a caller gets to see: decided here for every endpoint."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from psycopg import AsyncConnection, sql

from services.contracts.keys import Principal
from services.contracts.rollups import CUSTOMER, USAGE
from services.query.api.problems import Complaint, not_found, wrong_parameters
from services.query.read.tenants import Tenant, find_tenant

UTC_ZONE = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Scope:
    """`tenants` None is all of them; `tenant` the only one where there is one, whose zone is then the default."""

    tenants: tuple[int, ...] | None
    tenant: Tenant | None

    @property
    def zone(self) -> ZoneInfo:
        return self.tenant.zone if self.tenant else UTC_ZONE


async def scope_of(conn: AsyncConnection[Any], caller: Principal, tenant_id: str | None) -> Scope:
    """What `caller` sees of `tenant_id`, or of all it may see; the same Problem 404 for unknown and for forbidden."""
    wanted = tenant_id if tenant_id is not None else caller.tenant_id
    if wanted is None:
        return Scope(None, None)
    if not caller.may_read(wanted):
        raise not_found(NO_TENANT)
    tenant = await find_tenant(conn, wanted) if "\x00" not in wanted else None
    if tenant is None:
        raise not_found(NO_TENANT)
    return Scope((tenant.tenant_no,), tenant)


async def tenant_of(conn: AsyncConnection[Any], caller: Principal, tenant_id: str) -> Tenant:
    """The one tenant of a path; Problem 404 as above."""
    scope = await scope_of(conn, caller, tenant_id)
    assert scope.tenant is not None
    return scope.tenant


async def scope_of_all(conn: AsyncConnection[Any], caller: Principal, tenant_ids: tuple[str, ...]) -> Scope:
    """What `caller` sees of several tenants, each of which it must be allowed to see."""
    if len(tenant_ids) < 2:
        return await scope_of(conn, caller, tenant_ids[0] if tenant_ids else None)
    found = [await tenant_of(conn, caller, tenant_id) for tenant_id in dict.fromkeys(tenant_ids)]
    return Scope(tuple(tenant.tenant_no for tenant in found), None)


async def refuse_foreign_scope(conn: AsyncConnection[Any], tenant: Tenant, scope: Iterable[tuple[str, str]]) -> None:
    """Problem 400 for an agent, user or feature that is another tenant's and not this one's. One that nobody has had
    calls of is taken: it may be watched before it begins.
    """
    for name, value in scope:
        days = (CUSTOMER if name in CUSTOMER.dimensions else USAGE).view("day")
        where = sql.SQL("FROM {days} WHERE {name} = %(value)s AND tenant_no").format(
            days=sql.Identifier(days), name=sql.Identifier(name)
        )
        cursor = await conn.execute(
            sql.SQL("SELECT EXISTS (SELECT {where} = %(tenant)s), EXISTS (SELECT {where} <> %(tenant)s)").format(
                where=where
            ),
            {"value": value, "tenant": tenant.tenant_no},
        )
        row = await cursor.fetchone()
        assert row is not None
        is_own, is_anothers = row
        if is_anothers and not is_own:
            raise wrong_parameters([Complaint("scope", f"{name}: {tenant.tenant_id} has none of this name")])


NO_TENANT = "There is no such tenant."
