"""From a feature to its requests to their attempts; runs and their trees."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from pricing.money import usd_decimal
from services.query.api.cursors import make_cursor, place_after
from services.query.api.described.common import Data, Listing, answers
from services.query.api.described.spend import RequestDetail, RequestRow, RunDetail, RunRow
from services.query.api.parameters import Limit, Name, NoParameters, SpanParameters
from services.query.api.problems import Complaint, Complaints, not_found, wrong_parameters
from services.query.api.scope import scope_of
from services.query.api.shapes import json_response, listing, money_string, share
from services.query.api.spans import read_span
from services.query.auth import Reader
from services.query.parts import QueryParts, parts_of
from services.query.read.calls import Call, CallFilter, Place, place_of_request, read_newest_requests, read_request
from services.query.read.freshness import read_data_through
from services.query.read.runs import Node, Run, RunFilter, RunPlace, read_run, read_runs, read_tree
from services.query.read.session import reading

router = APIRouter(prefix="/api/v1", tags=["drill down"])
Parts = Annotated[QueryParts, Depends(parts_of)]
_LONGEST_ID = 1_000


class OfTenant(NoParameters):
    tenant_id: Name | None = None


class FeatureRequestParameters(SpanParameters):
    limit: Limit = 200


class RunListParameters(SpanParameters):
    agent_id: Name | None = None


@router.get(
    "/features/{feature:path}/requests",
    summary="The newest requests of a feature",
    responses=answers(Listing[RequestRow]),
)
async def get_feature_requests(
    caller: Reader, feature: str, asked: Annotated[FeatureRequestParameters, Query()], parts: Parts
) -> Response:
    complaints = Complaints()
    place = place_after("requests", asked.cursor, (datetime, int, UUID), complaints)
    after = Place(*place) if place else None
    async with reading(parts.reads) as conn:
        span = await read_span(conn, caller, asked, parts.clock(), complaints=complaints)
        values = (("feature", _id(feature)),)
        wanted = CallFilter(span.scope.tenants, span.range.start, span.range.end, values)
        found = await read_newest_requests(conn, wanted, asked.limit + 1, after)
        through = await read_data_through(conn)
    shown = found[: asked.limit]
    last = place_of_request(shown[-1], wanted) if len(found) > asked.limit else None
    cursor = make_cursor("requests", last.row() if last else None)
    return json_response(listing([_request_row(calls) for calls in shown], cursor, through))


def _request_row(calls: list[Call]) -> dict[str, Any]:
    last = calls[-1]
    return {
        "occurred_at": max(call.occurred_at for call in calls),
        "request_id": last.request_id,
        "tenant_id": last.tenant_id,
        "model": last.model,
        "total_tokens": sum(call.prompt_tokens + call.completion_tokens for call in calls),
        "cost_usd": _usd(sum(call.cost_pico_usd for call in calls)),
        "latency_ms": last.latency_ms,
        "status": last.status,
        "attempts": len(calls),
    }


@router.get("/requests/{request_id:path}", summary="A request and its attempts", responses=answers(Data[RequestDetail]))
async def get_request(caller: Reader, request_id: str, asked: Annotated[OfTenant, Query()], parts: Parts) -> Response:
    async with reading(parts.reads) as conn:
        scope = await scope_of(conn, caller, asked.tenant_id)
        calls = await read_request(conn, scope.tenants, _id(request_id))
    if not calls:
        raise not_found("There is no such request.")
    if len({call.tenant_no for call in calls}) > 1:
        raise wrong_parameters([Complaint("tenant_id", "several tenants have a request of this id: say whose")])
    return json_response({"data": {"summary": _summary(calls), "attempts": _attempts(calls)}})


def _summary(calls: list[Call]) -> dict[str, Any]:
    prompt, completion = (sum(getattr(call, name) for call in calls) for name in ("prompt_tokens", "completion_tokens"))
    first = calls[0]
    return {
        "request_id": first.request_id,
        "first_seen": min(call.occurred_at for call in calls),
        "last_seen": max(call.occurred_at for call in calls),
        "feature": first.feature,
        "tenant_id": first.tenant_id,
        "user_id": first.user_id,
        "attempts": len(calls),
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "cost_usd": _usd(sum(call.cost_pico_usd for call in calls)),
        "wasted_cost_usd": _usd(sum(call.cost_pico_usd for call in calls if call.wasted)),
        "retry_count": sum(call.retry_count for call in calls),
        "prompt_share": share(prompt, prompt + completion),
        "unpriced_events": sum(call.unpriced for call in calls),
    }


def _attempts(calls: list[Call]) -> list[dict[str, Any]]:
    total, dearest = sum(call.cost_pico_usd for call in calls), max(call.cost_pico_usd for call in calls)
    top = next(call for call in calls if call.cost_pico_usd == dearest)
    return [
        {
            "attempt": call.attempt,
            "occurred_at": call.occurred_at,
            "provider": call.provider,
            "model": call.model,
            "region": call.region,
            "prompt_tokens": call.prompt_tokens,
            "completion_tokens": call.completion_tokens,
            "total_tokens": call.prompt_tokens + call.completion_tokens,
            "cost_usd": _usd(call.cost_pico_usd),
            "attempt_cost_share": share(call.cost_pico_usd, total),
            "retry_count": call.retry_count,
            "latency_ms": call.latency_ms,
            "status": call.status,
            "cache_hit": call.cache_hit,
            "prompt_template_id": call.prompt_template_id,
            "dearest": call is top and dearest > 0,
        }
        for call in calls
    ]


@router.get("/runs", summary="Runs, newest first", responses=answers(Listing[RunRow]))
async def get_runs(caller: Reader, asked: Annotated[RunListParameters, Query()], parts: Parts) -> Response:
    complaints = Complaints()
    place = place_after("runs", asked.cursor, (datetime, int, str), complaints)
    after = RunPlace(*place) if place else None
    async with reading(parts.reads) as conn:
        span = await read_span(conn, caller, asked, parts.clock(), complaints=complaints)
        wanted = RunFilter(span.scope.tenants, span.range.start, span.range.end, asked.agent_id)
        runs = await read_runs(conn, wanted, asked.limit + 1, after)
        through = await read_data_through(conn)
    shown = runs[: asked.limit]
    last = (shown[-1].started_at, shown[-1].tenant_no, shown[-1].run_id) if len(runs) > asked.limit else None
    return json_response(listing([_run(run) for run in shown], make_cursor("runs", last), through))


@router.get("/runs/{run_id:path}", summary="A run and where in it the money went", responses=answers(Data[RunDetail]))
async def get_run(caller: Reader, run_id: str, asked: Annotated[OfTenant, Query()], parts: Parts) -> Response:
    async with reading(parts.reads) as conn:
        scope = await scope_of(conn, caller, asked.tenant_id)
        runs = await read_run(conn, scope.tenants, _id(run_id))
        if not runs:
            raise not_found("There is no such run.")
        if len(runs) > 1:
            raise wrong_parameters([Complaint("tenant_id", "several tenants have a run of this id: say whose")])
        tree = await read_tree(conn, runs[0])
    return json_response({"data": {**_run(runs[0]), "tree": node_body(tree)}})


def _run(run: Run) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "tenant_id": run.tenant_id,
        "agent_id": run.agent_id,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "calls": run.calls,
        "cost_usd": _usd(run.cost_pico_usd),
    }


def node_body(node: Node) -> dict[str, Any]:
    """A node of the tree with all below it."""
    return {
        "name": node.name,
        "path": node.path,
        "calls": node.calls,
        "cost_usd": _usd(node.cost_pico_usd),
        "children": [node_body(child) for child in node.ordered()],
    }


def _usd(pico_usd: int) -> str:
    return money_string(usd_decimal(pico_usd))


def _id(text: str) -> str:
    """An id of a path; what no event can carry is not found like any other."""
    if "\x00" in text or len(text) > _LONGEST_ID:
        raise not_found()
    return text
