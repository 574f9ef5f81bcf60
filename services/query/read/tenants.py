"""Tenants as readers see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from psycopg import AsyncConnection
from psycopg.rows import class_row

from services.contracts.agents import default_label

_COLUMNS = "tenant_no, tenant_id, name, tz, created_at"


@dataclass(frozen=True, slots=True)
class Tenant:
    """An organisation. `tz` is an IANA name; `tenant_no` stands for it inside the store."""

    tenant_no: int
    tenant_id: str
    name: str
    tz: str
    created_at: datetime

    @property
    def zone(self) -> ZoneInfo:
        """UTC where the store names a zone nobody knows here."""
        try:
            return ZoneInfo(self.tz)
        except (ZoneInfoNotFoundError, ValueError):
            return ZoneInfo("UTC")


async def find_tenant(conn: AsyncConnection[Any], tenant_id: str) -> Tenant | None:
    """The tenant of this id."""
    async with conn.cursor(row_factory=class_row(Tenant)) as cursor:
        await cursor.execute(f"SELECT {_COLUMNS} FROM tenant WHERE tenant_id = %s", (tenant_id,))
        return await cursor.fetchone()


async def read_tenants(conn: AsyncConnection[Any], limit: int, after: str | None = None) -> list[Tenant]:
    """All tenants by id, from the one after `after` on."""
    async with conn.cursor(row_factory=class_row(Tenant)) as cursor:
        await cursor.execute(
            f"SELECT {_COLUMNS} FROM tenant WHERE %(after)s::text IS NULL OR tenant_id > %(after)s "
            "ORDER BY tenant_id LIMIT %(limit)s",
            {"after": after, "limit": limit},
        )
        return await cursor.fetchall()


async def read_agent_labels(conn: AsyncConnection[Any], tenant_no: int) -> dict[str, str]:
    """Labels an operator set for agents of a tenant; see `agent_label` for the others."""
    cursor = await conn.execute("SELECT agent_id, label FROM agent_label WHERE tenant_no = %s", (tenant_no,))
    return {row[0]: row[1] for row in await cursor.fetchall()}


def agent_label(agent_id: str, labels: dict[str, str]) -> str:
    """What an agent is called."""
    return labels.get(agent_id) or default_label(agent_id)
