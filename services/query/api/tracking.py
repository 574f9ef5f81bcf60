"""Cost tracking: `{"success": true, "data": …}` in camelCase, money as numbers."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from psycopg import AsyncConnection
from pydantic import Field

from pricing.money import usd_decimal
from services.contracts.keys import Principal
from services.query.api.cursors import make_cursor, place_after
from services.query.api.described.common import answers
from services.query.api.described.families import (
    AgentSummary,
    CallOut,
    FullSummary,
    MonthlyReport,
    Success,
    SuccessPage,
    Trends,
)
from services.query.api.parameters import LIMIT_MAX, CamelDates, Cursor, Limit, Name, NoParameters, Zone
from services.query.api.problems import Complaint, Complaints, not_found, wrong_parameters
from services.query.api.ranges import Range, last_days, read_zone
from services.query.api.scope import Scope, scope_of
from services.query.api.shapes import json_response, money_number
from services.query.api.spans import read_dates
from services.query.auth import Reader
from services.query.parts import QueryParts, parts_of
from services.query.read.calls import Call, CallFilter, Place, place_of, read_newest_calls
from services.query.read.costs import read_costs
from services.query.read.edges import midnight
from services.query.read.first import read_first_moment
from services.query.read.question import CostAnswer, CostQuery, Figure, QueryRefused
from services.query.read.session import reading

router = APIRouter(prefix="/api/cost-tracking", tags=["cost tracking"])
Parts = Annotated[QueryParts, Depends(parts_of)]
_SUMS = ("cost_usd", "total_tokens", "calls")
_WEEK, _MONTH = 7, 30
_STABLE_PERCENT = 5.0
_REPORT = answers(Success[MonthlyReport])
_REPORT[200]["content"] = {"text/csv": {"schema": {"type": "string"}}}


class TrackingFilters(NoParameters):
    user_id: Annotated[Name | None, Field(alias="userId")] = None
    agent_id: Annotated[Name | None, Field(alias="agentId")] = None
    model: Name | None = None
    tenant_id: Annotated[Name | None, Field(alias="tenantId")] = None
    tz: Zone | None = None

    def values(self) -> tuple[tuple[str, str], ...]:
        """Column and value of each filter that is set."""
        found = (("user_id", self.user_id), ("agent_id", self.agent_id), ("model", self.model))
        return tuple((name, value) for name, value in found if value is not None)


class TrackingParameters(TrackingFilters, CamelDates):
    period: Literal["week", "month", "all"] | None = None


class RecentParameters(TrackingFilters):
    limit: Limit = 50
    cursor: Cursor | None = None


class ReportParameters(TrackingFilters):
    month: Annotated[str, Field(pattern=r"^20\d\d-(0[1-9]|1[0-2])$", examples=["2026-10"])]
    format: Literal["json", "csv"] = "json"


@dataclass(frozen=True, slots=True)
class Tracked:
    """Whose calls of when, narrowed by filters."""

    scope: Scope
    range: Range
    values: tuple[tuple[str, str], ...]

    def query(self, **changes: Any) -> CostQuery:  # noqa: ANN401
        filters = tuple((name, (value,)) for name, value in self.values)
        base = CostQuery(
            self.scope.tenants, self.range.start, self.range.end, self.range.zone, filters=filters, measures=_SUMS,
            limit=LIMIT_MAX,
        )  # fmt: skip
        return replace(base, **changes)


@router.get("", summary="What was spent in a period, by model, agent and day", responses=answers(Success[FullSummary]))
@router.get("/", include_in_schema=False)
async def get_tracking(caller: Reader, asked: Annotated[TrackingParameters, Query()], parts: Parts) -> Response:
    async with reading(parts.reads) as conn:
        tracked = await _tracked(conn, caller, asked, parts)
        return _success(await full_summary(conn, tracked))


@router.get(
    "/trends", summary="The last 7 days against the 7 before, and the last 30", responses=answers(Success[Trends])
)
async def get_trends(caller: Reader, asked: Annotated[TrackingFilters, Query()], parts: Parts) -> Response:
    async with reading(parts.reads) as conn:
        tracked = await _tracked(conn, caller, asked, parts)
        week, zone = last_days(_WEEK, tracked.range.zone, parts.clock()), tracked.range.zone
        first = week.start.astimezone(zone).date() - timedelta(days=_WEEK)
        before = Range(midnight(first, zone), week.start, zone)
        month = last_days(_MONTH, zone, parts.clock())
        seven, earlier, thirty = [await _totals(conn, replace(tracked, range=r)) for r in (week, before, month)]
    change = percentage_change(seven["totalCost"], earlier["totalCost"])
    data = {"last7Days": seven, "last30Days": thirty, "percentageChange": change, "trend": trend_of(change)}
    return _success(data)


@router.get("/recent", summary="The newest calls", responses=answers(SuccessPage[CallOut]))
async def get_recent(caller: Reader, asked: Annotated[RecentParameters, Query()], parts: Parts) -> Response:
    complaints = Complaints()
    place = place_after("recent", asked.cursor, (datetime, int, UUID), complaints)
    complaints.raise_if_any()
    async with reading(parts.reads) as conn:
        tracked = await _tracked(conn, caller, asked, parts)
        wanted = CallFilter(tracked.scope.tenants, tracked.range.start, tracked.range.end, tracked.values)
        calls = await read_newest_calls(conn, wanted, asked.limit + 1, Place(*place) if place else None)
    shown = calls[: asked.limit]
    last = place_of(shown[-1]) if len(calls) > asked.limit else None
    cursor = make_cursor("recent", last.row() if last else None)
    return json_response({"success": True, "data": [call_body(call) for call in shown], "nextCursor": cursor})


@router.get("/agents/{agent_id:path}", summary="What one agent spent", responses=answers(Success[AgentSummary]))
async def get_agent(
    caller: Reader, agent_id: str, asked: Annotated[TrackingParameters, Query()], parts: Parts
) -> Response:
    if "\x00" in agent_id:
        raise not_found("There is no such agent.")
    async with reading(parts.reads) as conn:
        tracked = await _tracked(conn, caller, asked, parts)
        tracked = replace(tracked, values=(*(v for v in tracked.values if v[0] != "agent_id"), ("agent_id", agent_id)))
        everything = replace(tracked, range=await _everything(conn, tracked, parts), values=(("agent_id", agent_id),))
        known = await read_costs(conn, everything.query(measures=("calls",)))
        if not known.totals["calls"]:
            raise not_found("There is no such agent.")
        return _success({"agentId": agent_id, **await full_summary(conn, tracked)})


@router.get("/reports/monthly", summary="One month, as JSON or CSV", responses=_REPORT)
async def get_monthly_report(caller: Reader, asked: Annotated[ReportParameters, Query()], parts: Parts) -> Response:
    first = date.fromisoformat(f"{asked.month}-01")
    async with reading(parts.reads) as conn:
        tracked = await _tracked(conn, caller, asked, parts)
        zone = tracked.range.zone
        after = (first + timedelta(days=32)).replace(day=1)
        tracked = replace(tracked, range=Range(midnight(first, zone), midnight(after, zone), zone))
        report = await full_summary(conn, tracked)
    if asked.format == "json":
        return _success({"month": asked.month, **report})
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(("date", "cost_usd", "tokens", "requests"))
    rows.writerows((day["date"], day["cost"], day["tokens"], day["requests"]) for day in report["dailyBreakdown"])
    headers = {"Content-Disposition": f'attachment; filename="cost-{asked.month}.csv"'}
    return Response(text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


async def full_summary(conn: AsyncConnection[Any], tracked: Tracked) -> dict[str, Any]:
    """Totals, by model, by agent, by local day."""
    models = await read_costs(conn, tracked.query(group_by=("model",)))
    agents = await read_costs(conn, tracked.query(group_by=("agent_id",)))
    days = await read_costs(conn, tracked.query(granularity="day", limit=10 * LIMIT_MAX))
    return {
        **await _totals(conn, tracked),
        "costByModel": {row.dimensions["model"]: _cell(row.figures) for row in models.rows},
        "costByAgent": {row.dimensions["agent_id"]: _cell(row.figures) for row in agents.rows},
        "dailyBreakdown": [
            {"date": row.bucket.date().isoformat(), **_cell(row.figures)} for row in days.rows if row.bucket
        ],
    }


async def _totals(conn: AsyncConnection[Any], tracked: Tracked) -> dict[str, Any]:
    found = await read_costs(conn, tracked.query(measures=(*_SUMS, "errors")))
    calls, errors = int(found.totals["calls"] or 0), int(found.totals["errors"] or 0)
    return {
        "totalCost": money_number(found.totals["cost_usd"]),
        "totalTokens": found.totals["total_tokens"],
        "totalRequests": calls,
        "successfulRequests": calls - errors,
        "failedRequests": errors,
        "avgResponseTime": await _response_time(conn, tracked),
        "unpricedEvents": found.unpriced_events,
    }


async def _response_time(conn: AsyncConnection[Any], tracked: Tracked) -> Figure:
    """Milliseconds; None where nothing was measured, or filters and range make it cost too much to find out."""
    try:
        found: CostAnswer = await read_costs(conn, tracked.query(measures=("latency_ms_avg",)))
    except QueryRefused:
        return None
    return found.totals["latency_ms_avg"]


def _cell(figures: dict[str, Figure]) -> dict[str, Any]:
    return {
        "cost": money_number(figures["cost_usd"]),
        "tokens": figures["total_tokens"],
        "requests": figures["calls"],
    }


def call_body(call: Call) -> dict[str, Any]:
    """One call in camelCase."""
    return {
        "eventId": call.event_id,
        "requestId": call.request_id,
        "runId": call.run_id,
        "attempt": call.attempt,
        "occurredAt": call.occurred_at,
        "tenantId": call.tenant_id,
        "provider": call.provider,
        "model": call.model,
        "feature": call.feature,
        "agentId": call.agent_id,
        "userId": call.user_id,
        "customerId": call.customer_id,
        "promptTokens": call.prompt_tokens,
        "completionTokens": call.completion_tokens,
        "totalTokens": call.prompt_tokens + call.completion_tokens,
        "cost": None if call.unpriced else money_number(usd_decimal(call.cost_pico_usd)),
        "latencyMs": call.latency_ms,
        "status": call.status,
    }


def percentage_change(now: float, before: float) -> float:
    """Change in per cent of what was before; 100 from nothing."""
    if not before:
        return 100.0 if now else 0.0
    return round((now - before) / before * 100, 4)


def trend_of(change: float) -> Literal["up", "down", "stable"]:
    """Within ± 5 % is stable."""
    if abs(change) <= _STABLE_PERCENT:
        return "stable"
    return "up" if change > 0 else "down"


async def _tracked(conn: AsyncConnection[Any], caller: Principal, asked: TrackingFilters, parts: QueryParts) -> Tracked:
    scope, complaints = await scope_of(conn, caller, asked.tenant_id), Complaints()
    zone = read_zone(asked.tz, scope.zone, complaints)
    complaints.raise_if_any()
    tracked = Tracked(scope, last_days(_MONTH, zone, parts.clock()), asked.values())
    if not isinstance(asked, TrackingParameters):
        return tracked
    if asked.period is not None and (asked.start_date or asked.end_date):
        raise wrong_parameters([Complaint("period", "use either period, or startDate and endDate")])
    if asked.period == "all":
        return replace(tracked, range=await _everything(conn, tracked, parts))
    if asked.period is not None:
        days = _WEEK if asked.period == "week" else _MONTH
        return replace(tracked, range=last_days(days, zone, parts.clock()))
    return replace(tracked, range=read_dates(asked, zone, parts.clock()))


async def _everything(conn: AsyncConnection[Any], tracked: Tracked, parts: QueryParts) -> Range:
    zone, today = tracked.range.zone, last_days(1, tracked.range.zone, parts.clock())
    first = await read_first_moment(conn, tracked.scope.tenants)
    if first is None or first >= today.start:
        return today
    return Range(midnight(first.astimezone(zone).date(), zone), today.end, zone)


def _success(data: object) -> Response:
    return json_response({"success": True, "data": data})
