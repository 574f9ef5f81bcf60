"""Whom a page may show, and for whom it is asked. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from services.contracts.keys import Principal


@dataclass(frozen=True, slots=True)
class Tenant:
    tenant_no: int
    tenant_id: str
    name: str
    zone: ZoneInfo


class UnknownTenant(LookupError):
    """No such tenant, or not for this reader: the two look the same."""


@dataclass(frozen=True, slots=True)
class Scope:
    """`tenant` None shows all that the reader may see; `numbers` None is all there are."""

    readable: tuple[Tenant, ...]
    tenant: Tenant | None
    numbers: tuple[int, ...] | None
    zone: ZoneInfo

    @property
    def tenant_id(self) -> str | None:
        return self.tenant.tenant_id if self.tenant else None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(tenant.tenant_id for tenant in self.readable)


def make_tenant(tenant_no: int, tenant_id: str, name: str, tz: str) -> Tenant:
    try:
        zone = ZoneInfo(tz)
    except (ZoneInfoNotFoundError, ValueError):
        zone = ZoneInfo("UTC")
    return Tenant(tenant_no, tenant_id, name, zone)


def scope_for(principal: Principal, tenants: Sequence[Tenant], asked: str | None) -> Scope:
    """`asked` is the tenant in the URL, None or '' for all. UnknownTenant for one the reader can't see."""
    readable = tuple(tenant for tenant in tenants if principal.may_read(tenant.tenant_id))
    picked = asked or principal.tenant_id
    if picked:
        tenant = next((t for t in readable if t.tenant_id == picked), None)
        if tenant is None and (asked or not principal.tenant_id):
            raise UnknownTenant(picked)
        # A tenant's own key may be older than its first event: then there is nothing to show, which is not an error.
        return Scope(
            readable, tenant, (tenant.tenant_no,) if tenant else (), tenant.zone if tenant else ZoneInfo("UTC")
        )
    return Scope(readable, None, None, ZoneInfo("UTC"))
