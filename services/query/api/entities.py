"""Who and what spends: agents, providers, models, channels, users, features, customers; one row each."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import Field

from services.contracts.keys import Principal
from services.contracts.limits import ACCEPT_FUTURE_SECONDS
from services.query.api.described.common import answers
from services.query.api.described.spend import (
    AgentRow,
    ChannelRow,
    CustomerRow,
    Envelope,
    FeatureRow,
    ModelRow,
    ProviderRow,
    UserRow,
)
from services.query.api.parameters import LIMIT_MAX, CamelDates, Limit, Moment, RankedParameters
from services.query.api.problems import Complaints
from services.query.api.ranges import Range, read_range, read_zone
from services.query.api.scope import scope_of, tenant_of
from services.query.api.shapes import envelope, exact, json_response, money_string, per_call, percent
from services.query.api.spans import Span, answer, read_span
from services.query.auth import Reader
from services.query.parts import QueryParts, parts_of
from services.query.read.question import CostAnswer, CostRow
from services.query.read.session import reading
from services.query.read.tenants import agent_label, read_agent_labels

# The events of the last day, those of a clock a little ahead of ours too.
DAY, CLOCKS_AHEAD = timedelta(days=1), timedelta(seconds=ACCEPT_FUTURE_SECONDS)
router = APIRouter(tags=["who and what"])
Parts = Annotated[QueryParts, Depends(parts_of)]
SpanQuery = Annotated[RankedParameters, Query()]
_TOKENS = ("prompt_tokens", "completion_tokens", "total_tokens")
_COMMON = ("cost_usd", "calls", *_TOKENS)
_FEATURE = (*_COMMON, "latency_ms_avg", "retry_count", "cache_hits")


def _row(row: CostRow, whole: CostAnswer) -> dict[str, Any]:
    cost, calls = row.figures["cost_usd"], row.figures["calls"]
    return {
        **row.dimensions,
        **exact(row.figures),
        "avg_cost_per_call_usd": money_string(per_call(cost, calls)),
        "percent_of_total": percent(cost, whole.totals["cost_usd"]),
    }


async def _entities(
    caller: Principal, asked: RankedParameters, parts: QueryParts, dimension: str, measures: tuple[str, ...] = _COMMON
) -> Response:
    async with reading(parts.reads) as conn:
        span = await read_span(conn, caller, asked, parts.clock())
        found = await answer(
            conn, span, group_by=(dimension,), measures=measures, order_by="cost_usd", descending=asked.order == "desc"
        )
        labels: dict[str, str] = {}
        if dimension == "agent_id" and span.scope.tenant is not None:
            labels = await read_agent_labels(conn, span.scope.tenant.tenant_no)
    rows = [_row(row, found) for row in found.rows]
    if dimension == "agent_id":
        rows = [{**row, "agent_name": agent_label(row["agent_id"], labels)} for row in rows]
    return json_response(envelope(rows, found))


@router.get("/api/v1/agents", summary="What each agent costs", responses=answers(Envelope[AgentRow]))
async def get_agents(caller: Reader, asked: SpanQuery, parts: Parts) -> Response:
    return await _entities(caller, asked, parts, "agent_id")


@router.get("/api/v1/providers", summary="What each provider costs", responses=answers(Envelope[ProviderRow]))
async def get_providers(caller: Reader, asked: SpanQuery, parts: Parts) -> Response:
    return await _entities(caller, asked, parts, "provider")


@router.get("/api/v1/models", summary="What each model costs", responses=answers(Envelope[ModelRow]))
async def get_models(caller: Reader, asked: SpanQuery, parts: Parts) -> Response:
    return await _entities(caller, asked, parts, "model")


@router.get("/api/v1/channels", summary="What each channel costs", responses=answers(Envelope[ChannelRow]))
async def get_channels(caller: Reader, asked: SpanQuery, parts: Parts) -> Response:
    return await _entities(caller, asked, parts, "channel")


@router.get("/api/v1/users", summary="What each user costs", responses=answers(Envelope[UserRow]))
async def get_users(caller: Reader, asked: SpanQuery, parts: Parts) -> Response:
    return await _entities(caller, asked, parts, "user_id")


@router.get("/api/v1/features", summary="What each feature costs", responses=answers(Envelope[FeatureRow]))
async def get_features(caller: Reader, asked: SpanQuery, parts: Parts) -> Response:
    return await _entities(caller, asked, parts, "feature", _FEATURE)


class CustomerParameters(CamelDates):
    """`from` and `to`, or `startDate` and `endDate`; the last 24 hours by default."""

    from_: Annotated[Moment | None, Field(alias="from")] = None
    to: Moment | None = None
    limit: Limit = LIMIT_MAX


@router.get(
    "/tenants/{tenant_id}/customers",
    summary="What each customer of a tenant costs",
    responses=answers(list[CustomerRow]),
)
async def get_customers(
    caller: Reader, tenant_id: str, asked: Annotated[CustomerParameters, Query()], parts: Parts
) -> Response:
    async with reading(parts.reads) as conn:
        tenant = await tenant_of(conn, caller, tenant_id)
        scope = await scope_of(conn, caller, tenant.tenant_id)
        span = Span(scope, _customer_range(asked, scope.zone, parts), limit=asked.limit)
        found = await answer(conn, span, group_by=("customer_id",), measures=_COMMON)
    rows = [_row(row, found) for row in found.rows]
    return json_response([{"total_cost_usd": row.pop("cost_usd"), **row} for row in rows])


def _customer_range(asked: CustomerParameters, zone: ZoneInfo, parts: QueryParts) -> Range:
    complaints, now = Complaints(), parts.clock()
    zone = read_zone(asked.tz, zone, complaints)
    dates, moments = (asked.start_date, asked.end_date), (asked.from_, asked.to)
    if any(dates) and any(moments):
        complaints.add("startDate", "use either from and to, or startDate and endDate")
    if any(dates):
        span = read_range(("startDate", "endDate"), dates, zone, now, complaints, last_included=True)
    elif any(moments):
        span = read_range(("from", "to"), moments, zone, now, complaints)
    else:
        span = Range(now - DAY, now + CLOCKS_AHEAD, zone)
    complaints.raise_if_any()
    return span
