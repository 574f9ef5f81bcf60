"""GET /api/v1/audit: do all levels say the same, and does the ledger?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import Field

from pricing.money import usd_decimal
from services.query.api.parameters import Name, NoParameters
from services.query.api.scope import scope_of
from services.query.api.shapes import json_response, money_string
from services.query.auth import Reader
from services.query.parts import QueryParts, parts_of
from services.query.read.audit import Identity, read_ledger, read_levels, read_waiting
from services.query.read.freshness import read_data_through
from services.query.read.session import reading

router = APIRouter(prefix="/api/v1", tags=["trust"])
_DIFFERENCES_MAX = 50


class AuditParameters(NoParameters):
    days: Annotated[int, Field(ge=1, le=35, description="UTC days, today among them.")] = 7
    tenant_id: Name | None = None


@router.get("/audit", summary="The identities behind the figures, live")
async def get_audit(
    caller: Reader, asked: Annotated[AuditParameters, Query()], parts: Annotated[QueryParts, Depends(parts_of)]
) -> Response:
    today = parts.clock().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start, end = today - timedelta(days=asked.days - 1), today + timedelta(days=2)
    async with reading(parts.reads) as conn:
        scope = await scope_of(conn, caller, asked.tenant_id)
        levels = await read_levels(conn, scope.tenants, start, end)
        waiting, through = await read_waiting(conn), await read_data_through(conn)
        # The ledger counts all tenants' events: only who may see all of them sees it.
        ledger = await read_ledger(conn) if scope.tenants is None else []
    data = {
        "holds": all(identity.holds for identity in levels),
        "from": start,
        "to": end,
        "identities": [_identity(identity) for identity in levels],
        "waiting_for_refresh": waiting,
        "ledger": ledger,
    }
    return json_response({"data": data, "data_through": through})


def _identity(identity: Identity) -> dict[str, Any]:
    return {
        "name": identity.name,
        "holds": identity.holds,
        "totals": _sums(identity.totals),
        "differences": [
            {"day": _day(one.day), "raw": _sums(one.raw), "found": _sums(one.found), "waiting": one.waiting}
            for one in identity.differences[:_DIFFERENCES_MAX]
        ],
    }


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).date().isoformat()


def _sums(sums: dict[str, int]) -> dict[str, Any]:
    counts = {name: value for name, value in sums.items() if not name.endswith("_pico_usd")}
    cost = sums["billed_pico_usd"] + sums["adjustment_pico_usd"]
    return {**counts, "cost_usd": money_string(usd_decimal(cost))}
