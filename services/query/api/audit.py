"""GET /api/v1/audit: is every event accounted for once, and do all levels say the same?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import Field

from services.audit.engine import Question
from services.audit.report import Report, to_json
from services.query.api.described.common import answers
from services.query.api.described.spend import AuditAnswer
from services.query.api.parameters import Name, NoParameters
from services.query.api.scope import scope_of
from services.query.api.shapes import json_response
from services.query.auth import Reader
from services.query.parts import QueryParts, parts_of
from services.query.read.audit import live_audit
from services.query.read.session import reading

router = APIRouter(prefix="/api/v1", tags=["trust"])
_DIFFERENCES_MAX = 50


class AuditParameters(NoParameters):
    days: Annotated[int, Field(ge=1, le=35, description="UTC days, today among them.")] = 7
    tenant_id: Name | None = None


@router.get("/audit", summary="The identities behind the figures, live", responses=answers(AuditAnswer))
async def get_audit(
    caller: Reader, asked: Annotated[AuditParameters, Query()], parts: Annotated[QueryParts, Depends(parts_of)]
) -> Response:
    today = parts.clock().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start, end = today - timedelta(days=asked.days - 1), today + timedelta(days=2)
    async with reading(parts.reads) as conn:
        scope = await scope_of(conn, caller, asked.tenant_id)
    # The ledger counts all tenants' events: only who may see all of them sees it.
    report = await live_audit(parts.settings.database_dsn.get_secret_value(), Question(start, end, scope.tenants))
    return json_response({"data": _shown(report, start, end), "data_through": report.data_through})


def _shown(report: Report, start: datetime, end: datetime) -> dict[str, Any]:
    data: dict[str, Any] = to_json(report)
    del data["data_through"]
    for identity in data["identities"]:
        identity["differences"] = identity["differences"][:_DIFFERENCES_MAX]
    return {**data, "from": start, "to": end}
