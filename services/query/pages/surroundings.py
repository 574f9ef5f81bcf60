"""What every page's template needs beside its own view."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from psycopg import AsyncConnection

from services.contracts.keys import Principal
from services.query.pages.chrome import navigation
from services.query.pages.links import segment
from services.query.pages.reading import count_firing
from services.query.pages.scope import Scope
from services.query.parts import parts_of


async def surroundings(
    request: Request, conn: AsyncConnection[Any], principal: Principal, scope: Scope, current: str
) -> dict[str, object]:
    """`current` is the page's name in the navigation."""
    parts = parts_of(request)
    firing = await count_firing(conn, None if principal.tenant_id is None else (principal.tenant_id,))
    return {
        "nav": navigation(principal, current, scope.tenant_id, firing),
        "gateway_url": parts.settings.gateway_url.rstrip("/"),
        "now_text": f"{parts.clock():%Y-%m-%dT%H:%M:%SZ}",
        "first_tenant": scope.tenant_id or principal.tenant_id or "acme-corp",
        "can_make_keys": principal.role == "admin",
        "feature_href": lambda feature: f"/features/{segment(feature)}",
    }
