"""The operator portal: bare arrays, money as numbers, local dates both included."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from services.contracts.keys import Principal
from services.query.api.described.common import answers
from services.query.api.described.families import PortalAgent, PortalBudget, PortalChannel, PortalProvider
from services.query.api.parameters import LIMIT_MAX, SnakeDates
from services.query.api.scope import tenant_of
from services.query.api.shapes import json_response, money_number
from services.query.api.spans import read_dates
from services.query.auth import Reader
from services.query.parts import QueryParts, parts_of
from services.query.read.budgets import BudgetState, read_budget_states, read_budgets
from services.query.read.costs import read_costs
from services.query.read.question import CostAnswer, CostQuery
from services.query.read.session import reading
from services.query.read.tenants import agent_label, read_agent_labels

router = APIRouter(prefix="/api/portal/usage/{tenant_id}", tags=["operator portal"])
Parts = Annotated[QueryParts, Depends(parts_of)]
Dates = Annotated[SnakeDates, Query()]
_TOKENS = ("prompt_tokens", "completion_tokens", "total_tokens")


async def _by(
    caller: Principal, tenant_id: str, asked: SnakeDates, parts: QueryParts, dimension: str, measures: tuple[str, ...]
) -> tuple[CostAnswer, dict[str, str]]:
    async with reading(parts.reads) as conn:
        tenant = await tenant_of(conn, caller, tenant_id)
        span = read_dates(asked, tenant.zone, parts.clock())
        query = CostQuery(
            (tenant.tenant_no,), span.start, span.end, span.zone, group_by=(dimension,), measures=measures,
            limit=LIMIT_MAX,
        )  # fmt: skip
        labels = await read_agent_labels(conn, tenant.tenant_no) if dimension == "agent_id" else {}
        return await read_costs(conn, query), labels


@router.get("/summary", summary="What each agent used", responses=answers(list[PortalAgent]))
async def get_summary(caller: Reader, tenant_id: str, asked: Dates, parts: Parts) -> Response:
    found, labels = await _by(caller, tenant_id, asked, parts, "agent_id", (*_TOKENS, "cost_usd", "calls"))
    rows = [
        {
            "agent_id": row.dimensions["agent_id"],
            "agent_name": agent_label(row.dimensions["agent_id"], labels),
            **{name: row.figures[name] for name in _TOKENS},
            "cost_usd": money_number(row.figures["cost_usd"]),
            "llm_call_count": row.figures["calls"],
        }
        for row in found.rows
    ]
    return json_response(rows)


@router.get("/by-provider", summary="What each provider cost", responses=answers(list[PortalProvider]))
async def get_by_provider(caller: Reader, tenant_id: str, asked: Dates, parts: Parts) -> Response:
    found, _ = await _by(caller, tenant_id, asked, parts, "provider", ("cost_usd", "calls"))
    rows = [
        {**row.dimensions, "cost_usd": money_number(row.figures["cost_usd"]), "call_count": row.figures["calls"]}
        for row in found.rows
    ]
    return json_response(rows)


@router.get("/message-volume", summary="Messages on each channel", responses=answers(list[PortalChannel]))
async def get_message_volume(caller: Reader, tenant_id: str, asked: Dates, parts: Parts) -> Response:
    found, _ = await _by(caller, tenant_id, asked, parts, "channel", ("requests",))
    volumes = {row.dimensions["channel"]: int(row.figures["requests"] or 0) for row in found.rows}
    # What came on no channel is no message.
    ranked = sorted(((name, count) for name, count in volumes.items() if name and count), key=lambda one: -one[1])
    return json_response([{"channel": name, "message_count": count} for name, count in ranked])


@router.get(
    "/budget-alerts", summary="Each agent with its budget nearest to exhaustion", responses=answers(list[PortalBudget])
)
async def get_budget_alerts(caller: Reader, tenant_id: str, asked: Dates, parts: Parts) -> Response:
    now = parts.clock()
    found, labels = await _by(caller, tenant_id, asked, parts, "agent_id", ("cost_usd",))
    async with reading(parts.reads) as conn:
        tenant = await tenant_of(conn, caller, tenant_id)
        budgets = [b for b in await read_budgets(conn, tenant.tenant_id) if "agent_id" in b.scope]
        states = await read_budget_states(conn, tenant, budgets, now)
    nearest: dict[str, BudgetState] = {}
    for state in sorted(states, key=lambda state: state.used_share):
        nearest[state.budget.scope["agent_id"]] = state
    costs = {row.dimensions["agent_id"]: row.figures["cost_usd"] for row in found.rows if row.dimensions["agent_id"]}
    agents = sorted(dict.fromkeys((*nearest, *costs)), key=lambda a: -nearest[a].used_share if a in nearest else 1.0)
    return json_response([_budget_row(a, labels, nearest.get(a), money_number(costs.get(a))) for a in agents])


def _budget_row(agent: str, labels: dict[str, str], state: BudgetState | None, cost_usd: float) -> dict[str, Any]:
    return {
        "agent_id": agent,
        "agent_name": agent_label(agent, labels),
        "budget_limit_usd": None if state is None else state.budget.limit_pico_usd / 10**12,
        "current_cost_usd": cost_usd if state is None else state.spent_pico_usd / 10**12,
        "status": "ok" if state is None else state.status,
    }
