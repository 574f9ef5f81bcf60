"""What the whole installation spends, by organisation (a tenant), model and time; admins only."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response, StreamingResponse
from psycopg import AsyncConnection
from pydantic import BaseModel, ConfigDict, Field

from services.query.api.admin_log import write_admin_log
from services.query.api.described.common import answers, text
from services.query.api.described.families import (
    Aggregated,
    Global,
    ModelRowCamel,
    OrgDetail,
    OrgRow,
    ProviderTrendPoint,
    Success,
)
from services.query.api.export import csv_of_calls
from services.query.api.parameters import LIMIT_MAX, CamelDates, Limit, Name, NoParameters, Zone
from services.query.api.problems import Complaints
from services.query.api.ranges import Range, last_days, read_zone
from services.query.api.scope import UTC_ZONE, Scope, scope_of, tenant_of
from services.query.api.shapes import json_response, money_number
from services.query.api.spans import Span, answer, read_dates
from services.query.api.tracking import call_body
from services.query.auth import Admin
from services.query.parts import QueryParts, parts_of
from services.query.read.calls import CallFilter, read_newest_calls
from services.query.read.edges import bucket_start
from services.query.read.question import CostAnswer, CostRow
from services.query.read.session import reading
from services.query.read.tenants import read_tenants

router = APIRouter(prefix="/api/v1/admin/llm-costs", tags=["administration"])
Parts = Annotated[QueryParts, Depends(parts_of)]
_MONEY_CALLS = ("cost_usd", "calls")
_TENANTS_MAX = 100_000
_TREND_ROWS_MAX = 50_000
_RECENT = 50
_MONTH_DAYS = 31
_AGGREGATE = {"hourly": timedelta(days=2), "daily": timedelta(days=35)}


class OrgParameters(CamelDates):
    sort_by: Annotated[Literal["cost", "requests", "name"], Field(alias="sortBy")] = "cost"
    sort_order: Annotated[Literal["asc", "desc"] | None, Field(alias="sortOrder")] = None
    min_cost_cents: Annotated[int, Field(alias="minCostCents", ge=0, le=10**12)] = 0
    limit: Limit = 100


class TrendParameters(NoParameters):
    days: Annotated[int, Field(ge=1, le=366)] = 30
    group_by: Annotated[Literal["hour", "day"], Field(alias="groupBy")] = "day"
    provider: Name | None = None
    tz: Zone | None = None


class AggregateBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    period_type: Annotated[Literal["hourly", "daily"], Field(alias="periodType")]


def _all(asked: CamelDates, parts: QueryParts) -> Span:
    return Span(Scope(None, None), read_dates(asked, UTC_ZONE, parts.clock()), limit=LIMIT_MAX)


@router.get("/global", summary="Everything", responses=answers(Success[Global]))
async def get_global(_caller: Admin, asked: Annotated[CamelDates, Query()], parts: Parts) -> Response:
    span, now = _all(asked, parts), parts.clock()
    today = last_days(1, span.range.zone, now)
    month = Range(bucket_start(now, "month", span.range.zone), today.end, span.range.zone)
    async with reading(parts.reads) as conn:
        whole = await answer(conn, span, measures=(*_MONEY_CALLS, "latency_ms_avg"))
        providers = await answer(conn, span, group_by=("provider",), measures=_MONEY_CALLS)
        models = await answer(conn, span, group_by=("model",), measures=_MONEY_CALLS)
        spent = [
            (await answer(conn, Span(span.scope, part), measures=("cost_usd",))).totals["cost_usd"]
            for part in (month, today)
        ]
    data = {
        "monthToDateUsd": money_number(spent[0]),
        "todayUsd": money_number(spent[1]),
        "totalCostUsd": money_number(whole.totals["cost_usd"]),
        "totalRequests": whole.totals["calls"],
        "avgLatencyMs": whole.totals["latency_ms_avg"],
        "byProvider": [_spent(row) for row in providers.rows],
        "byModel": [_spent(row) for row in models.rows],
        "unpricedEvents": whole.unpriced_events,
    }
    return _success(data)


@router.get("/by-org", summary="Organisations by what they spend", responses=answers(Success[list[OrgRow]]))
async def get_by_org(_caller: Admin, asked: Annotated[OrgParameters, Query()], parts: Parts) -> Response:
    span = _all(asked, parts)
    async with reading(parts.reads) as conn:
        found = await answer(
            conn, span, group_by=("tenant_id",), measures=(*_MONEY_CALLS, "total_tokens"), limit=_TENANTS_MAX
        )
        names = {tenant.tenant_id: tenant.name for tenant in await read_tenants(conn, _TENANTS_MAX)}
    rows = [
        {
            "organizationId": row.dimensions["tenant_id"],
            "name": names.get(row.dimensions["tenant_id"], row.dimensions["tenant_id"]),
            **_figures(row),
            "totalTokens": row.figures["total_tokens"],
        }
        for row in found.rows
        if (row.figures["cost_usd"] or 0) * 100 >= asked.min_cost_cents
    ]
    key = {"cost": "costUsd", "requests": "requests", "name": "name"}[asked.sort_by]
    descending = (asked.sort_order or ("asc" if asked.sort_by == "name" else "desc")) == "desc"
    rows.sort(key=lambda row: str(row[key]).casefold() if key == "name" else row[key], reverse=descending)
    return _success(rows[: asked.limit])


@router.get(
    "/by-org/{tenant_id:path}",
    summary="One organisation's models, trend and newest calls",
    responses=answers(Success[OrgDetail]),
)
async def get_org(caller: Admin, tenant_id: str, asked: Annotated[CamelDates, Query()], parts: Parts) -> Response:
    async with reading(parts.reads) as conn:
        tenant = await tenant_of(conn, caller, tenant_id)
        span = Span(await scope_of(conn, caller, tenant_id), read_dates(asked, tenant.zone, parts.clock()))
        models = await _models(conn, span)
        days = await answer(conn, span, granularity="day", measures=_MONEY_CALLS, limit=_TREND_ROWS_MAX)
        wanted = CallFilter(span.scope.tenants, span.range.start, span.range.end)
        calls = await read_newest_calls(conn, wanted, _RECENT)
    data = {
        "organizationId": tenant.tenant_id,
        "name": tenant.name,
        "costUsd": money_number(days.totals["cost_usd"]),
        "requests": days.totals["calls"],
        "models": models,
        "trend": [{"bucket": row.bucket, **_figures(row)} for row in days.rows],
        "recentRequests": [call_body(call) for call in calls],
    }
    return _success(data)


@router.get("/by-model", summary="Models by what they cost", responses=answers(Success[list[ModelRowCamel]]))
async def get_by_model(_caller: Admin, asked: Annotated[CamelDates, Query()], parts: Parts) -> Response:
    async with reading(parts.reads) as conn:
        return _success(await _models(conn, _all(asked, parts)))


async def _models(conn: AsyncConnection[Any], span: Span) -> list[dict[str, Any]]:
    measures = (*_MONEY_CALLS, "prompt_tokens", "completion_tokens", "latency_ms_avg")
    found = await answer(conn, span, group_by=("provider", "model", "tier"), measures=measures)
    return [
        {
            **row.dimensions,
            **_figures(row),
            "promptTokens": row.figures["prompt_tokens"],
            "completionTokens": row.figures["completion_tokens"],
            "avgLatencyMs": row.figures["latency_ms_avg"],
        }
        for row in found.rows
    ]


@router.get(
    "/trends", summary="Spend by hour or day and provider", responses=answers(Success[list[ProviderTrendPoint]])
)
async def get_trends(_caller: Admin, asked: Annotated[TrendParameters, Query()], parts: Parts) -> Response:
    complaints = Complaints()
    zone = read_zone(asked.tz, UTC_ZONE, complaints)
    complaints.raise_if_any()
    span = Span(Scope(None, None), last_days(asked.days, zone, parts.clock()), limit=_TREND_ROWS_MAX)
    async with reading(parts.reads) as conn:
        if asked.provider is not None:
            # Its buckets are there though it cost nothing.
            filters = (("provider", (asked.provider,)),)
            found = await answer(conn, span, granularity=asked.group_by, filters=filters, measures=_MONEY_CALLS)
        else:
            found = await answer(conn, span, granularity=asked.group_by, group_by=("provider",), measures=_MONEY_CALLS)
    return _success(_trend_rows(found, asked.provider))


def _trend_rows(found: CostAnswer, provider: str | None) -> list[dict[str, Any]]:
    return [
        {"bucket": row.bucket, "provider": row.dimensions.get("provider", provider), **_figures(row)}
        for row in found.rows
    ]


@router.get("/export", summary="Every call as CSV", responses=text("text/csv", "One line a call"))
async def get_export(caller: Admin, asked: Annotated[CamelDates, Query()], parts: Parts) -> Response:
    span = _all(asked, parts)
    wanted = CallFilter(None, span.range.start, span.range.end)
    async with parts.writes.connection() as conn:
        said: dict[str, object] = {"from": span.range.start.isoformat(), "to": span.range.end.isoformat()}
        await write_admin_log(conn, caller, "costs.export", "all", said)
    headers = {"Content-Disposition": 'attachment; filename="llm-costs.csv"'}
    return StreamingResponse(csv_of_calls(parts, wanted), media_type="text/csv; charset=utf-8", headers=headers)


@router.post("/aggregate", status_code=202, summary="Have rollups rebuilt", responses=answers(Success[Aggregated], 202))
async def post_aggregate(
    caller: Admin, body: AggregateBody, _asked: Annotated[NoParameters, Query()], parts: Parts
) -> Response:
    since = parts.clock() - _AGGREGATE[body.period_type]
    async with parts.writes.connection() as conn:
        # Marked buckets are served from the exact level below until the refresher has rebuilt them.
        cursor = await conn.execute(
            "INSERT INTO dirty_bucket (bucket) SELECT DISTINCT date_bin('15 minutes', bucket, "
            "TIMESTAMPTZ '1970-01-01 00:00:00+00') FROM usage_minute_base, rollup_state "
            "WHERE bucket >= %s AND bucket < closed_through",
            (since,),
        )
        marked = cursor.rowcount
        await write_admin_log(conn, caller, "rollups.aggregate", body.period_type, {"buckets": marked})
    return json_response({"success": True, "data": {"periodType": body.period_type, "bucketsMarked": marked}}, 202)


def _figures(row: CostRow) -> dict[str, Any]:
    return {"costUsd": money_number(row.figures["cost_usd"]), "requests": row.figures["calls"]}


def _spent(row: CostRow) -> dict[str, Any]:
    return {**row.dimensions, **_figures(row)}


def _success(data: object) -> Response:
    return json_response({"success": True, "data": data})
