"""Budgets, and whether there is room in them for one more call."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict, Field

from pricing.money import PICO_PER_USD, usd_decimal
from services.contracts.keys import Principal
from services.query.api.admin_log import write_admin_log
from services.query.api.cursors import make_cursor, place_after
from services.query.api.described.common import NOTHING, Data, Listing, answers
from services.query.api.described.families import BudgetCheck, BudgetOut, BudgetStateOut
from services.query.api.parameters import Id, Name, NoParameters, PageParameters
from services.query.api.problems import Complaint, Complaints, not_found, wrong_parameters
from services.query.api.scope import NO_TENANT, refuse_foreign_scope, scope_of, tenant_of
from services.query.api.shapes import json_response, listing, money_string
from services.query.auth import Admin, Reader
from services.query.parts import QueryParts, parts_of
from services.query.read.budgets import (
    Budget,
    BudgetState,
    read_budget_states,
    read_budgets,
    read_states_of_all,
    status_of,
)
from services.query.read.session import reading
from services.query.read.tenants import find_tenant

router = APIRouter(prefix="/api/v1/budgets", tags=["budgets"])
Parts = Annotated[QueryParts, Depends(parts_of)]
Nothing = Annotated[NoParameters, Query()]
_COLUMNS = "budget_id, tenant_id, scope, budget_window, limit_pico_usd, thresholds, created_at"
_NO_BUDGET = "There is no such budget."
ScopeName = Literal["agent_id", "user_id", "feature"]
Usd = Annotated[Decimal, Field(gt=0, le=9_000_000, decimal_places=12, max_digits=19)]
Thresholds = Annotated[list[Annotated[int, Field(ge=1, le=1_000)]], Field(min_length=1, max_length=10)]


class BudgetChange(BaseModel):
    """What is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    scope: Annotated[dict[ScopeName, Id], Field(max_length=1)] | None = None
    window: Literal["daily", "weekly", "monthly"] | None = None
    limit_usd: Usd | None = None
    thresholds: Thresholds | None = None


class NewBudget(BaseModel):
    model_config = ConfigDict(extra="forbid")

    # null: of all tenants together
    tenant_id: Id | None
    scope: Annotated[dict[ScopeName, Id], Field(max_length=1)] = Field(default_factory=dict)
    window: Literal["daily", "weekly", "monthly"]
    limit_usd: Usd
    thresholds: Thresholds = Field(default_factory=lambda: [80, 100])


class BudgetListParameters(PageParameters):
    tenant_id: Name | None = None


class CheckParameters(NoParameters):
    tenant_id: Name | None = None
    agent_id: Name | None = None
    user_id: Name | None = None
    feature: Name | None = None
    estimated_cost_usd: Annotated[Decimal, Field(ge=0, le=9_000_000, decimal_places=12)] = Decimal(0)


@router.get("", summary="Budgets", responses=answers(Listing[BudgetOut]))
async def get_budgets(caller: Reader, asked: Annotated[BudgetListParameters, Query()], parts: Parts) -> Response:
    complaints = Complaints()
    after = place_after("budgets", asked.cursor, (datetime, UUID), complaints)
    complaints.raise_if_any()
    async with reading(parts.reads) as conn:
        scope = await scope_of(conn, caller, asked.tenant_id)
        tenant_id = scope.tenant.tenant_id if scope.tenant else None
        found = await read_budgets(conn, tenant_id, asked.limit + 1, after)
    shown = found[: asked.limit]
    last = (shown[-1].created_at, shown[-1].budget_id) if len(found) > asked.limit else None
    return json_response(listing([_body(budget) for budget in shown], make_cursor("budgets", last)))


@router.get("/check", summary="Is there room for a call?", responses=answers(Data[BudgetCheck]))
async def get_check(caller: Reader, asked: Annotated[CheckParameters, Query()], parts: Parts) -> Response:
    now, tenant_id = parts.clock(), asked.tenant_id if asked.tenant_id is not None else caller.tenant_id
    if tenant_id is None:
        raise wrong_parameters([Complaint("tenant_id", "say whose budgets")])
    if not caller.may_read(tenant_id):
        raise not_found(NO_TENANT)
    snapshot = await parts.budgets.states(parts.reads, now)
    if tenant_id not in snapshot and tenant_id not in parts.budgets.tenants:
        async with reading(parts.reads) as conn:
            await scope_of(conn, caller, tenant_id)
        parts.budgets.tenants.add(tenant_id)
    states = [state for state in snapshot.get(tenant_id, ()) if _concerns(state.budget, asked)]
    if caller.tenant_id is None:
        # Who sees one tenant only must not learn from it what the others spend.
        states += snapshot.get(None, ())
    if not states:
        body: dict[str, Any] = {"status": "ok", "remaining_usd": None, "resets_at": None, "as_of": now}
        return json_response({"data": {**body, "budget_id": None}})
    extra = int(asked.estimated_cost_usd * PICO_PER_USD)
    tightest = max(states, key=lambda state: (state.spent_pico_usd + extra) / state.budget.limit_pico_usd)
    return json_response({"data": _checked(tightest, extra, tightest.as_of or now)})


def _concerns(budget: Budget, asked: CheckParameters) -> bool:
    return all(getattr(asked, name) == value for name, value in budget.scope.items())


def _checked(state: BudgetState, extra_pico_usd: int, as_of: object) -> dict[str, Any]:
    remaining = state.budget.limit_pico_usd - state.spent_pico_usd
    return {
        "status": status_of(state.spent_pico_usd + extra_pico_usd, state.budget.limit_pico_usd),
        "remaining_usd": money_string(usd_decimal(max(0, remaining))),
        "resets_at": state.resets_at,
        "as_of": as_of,
        "budget_id": str(state.budget.budget_id),
    }


@router.post("", status_code=201, summary="Add a budget", responses=answers(Data[BudgetOut], 201))
async def post_budget(caller: Admin, body: NewBudget, _asked: Nothing, parts: Parts) -> Response:
    async with parts.writes.connection() as conn:
        await _refuse_scope(conn, body.tenant_id, body.scope)
        made = await _one(
            conn,
            "INSERT INTO budget (tenant_id, scope, budget_window, limit_pico_usd, thresholds) "
            f"VALUES (%s, %s, %s, %s, %s) RETURNING {_COLUMNS}",
            (body.tenant_id, Jsonb(body.scope), body.window, int(body.limit_usd * PICO_PER_USD), body.thresholds),
        )
        assert made is not None
        await write_admin_log(conn, caller, "budget.create", str(made.budget_id), _said(made))
    parts.budgets.forget()
    return json_response({"data": _body(made)}, 201)


@router.get("/{budget_id}", summary="One budget and what is used of it", responses=answers(Data[BudgetStateOut]))
async def get_budget(caller: Reader, budget_id: str, _asked: Nothing, parts: Parts) -> Response:
    async with reading(parts.reads) as conn:
        budget = await _find(conn, caller, budget_id)
        if budget.tenant_id is None:
            (state,) = await read_states_of_all(conn, [budget], parts.clock())
        else:
            tenant = await tenant_of(conn, caller, budget.tenant_id)
            (state,) = await read_budget_states(conn, tenant, [budget], parts.clock())
    used = {"spent_usd": money_string(usd_decimal(state.spent_pico_usd)), "status": state.status}
    return json_response({"data": {**_body(budget), **used, "resets_at": state.resets_at}})


@router.patch("/{budget_id}", summary="Change a budget", responses=answers(Data[BudgetOut]))
async def patch_budget(caller: Admin, budget_id: str, body: BudgetChange, _asked: Nothing, parts: Parts) -> Response:
    async with parts.writes.connection() as conn:
        before = await _find(conn, caller, budget_id)
        limit = before.limit_pico_usd if body.limit_usd is None else int(body.limit_usd * PICO_PER_USD)
        scope = before.scope if body.scope is None else body.scope
        if scope != before.scope:
            await _refuse_scope(conn, before.tenant_id, scope)
        changed = await _one(
            conn,
            "UPDATE budget SET scope = %s, budget_window = %s, limit_pico_usd = %s, thresholds = %s "
            f"WHERE budget_id = %s RETURNING {_COLUMNS}",
            (
                Jsonb(scope), body.window or before.budget_window, limit, body.thresholds or before.thresholds,
                before.budget_id,
            ),
        )  # fmt: skip
        if changed is None:
            raise not_found(_NO_BUDGET)
        await write_admin_log(conn, caller, "budget.change", budget_id, _said(changed))
    parts.budgets.forget()
    return json_response({"data": _body(changed)})


@router.delete("/{budget_id}", status_code=204, summary="Remove a budget", responses=NOTHING)
async def delete_budget(caller: Admin, budget_id: str, _asked: Nothing, parts: Parts) -> Response:
    async with parts.writes.connection() as conn:
        budget = await _find(conn, caller, budget_id)
        await conn.execute("DELETE FROM budget WHERE budget_id = %s", (budget.budget_id,))
        await write_admin_log(conn, caller, "budget.delete", budget_id, _said(budget))
    parts.budgets.forget()
    return Response(status_code=204)


async def _refuse_scope(conn: AsyncConnection[Any], tenant_id: str | None, scope: Mapping[Any, str]) -> None:
    """Problem 400 for a tenant that isn't there and for a scope that isn't its own."""
    if tenant_id is None:
        if scope:
            raise wrong_parameters([Complaint("scope", "a budget of all tenants is of everything they spend")])
        return
    tenant = await find_tenant(conn, tenant_id)
    if tenant is None:
        raise wrong_parameters([Complaint("tenant_id", "there is no such tenant")])
    await refuse_foreign_scope(conn, tenant, scope.items())


async def _find(conn: AsyncConnection[Any], caller: Principal, budget_id: str) -> Budget:
    try:
        wanted = UUID(budget_id)
    except ValueError:
        raise not_found(_NO_BUDGET) from None
    found = await _one(conn, f"SELECT {_COLUMNS} FROM budget WHERE budget_id = %s", (wanted,))
    if found is None or not (caller.tenant_id is None if found.tenant_id is None else caller.may_read(found.tenant_id)):
        raise not_found(_NO_BUDGET)
    return found


async def _one(conn: AsyncConnection[Any], sql: str, values: tuple[object, ...]) -> Budget | None:
    async with conn.cursor(row_factory=class_row(Budget)) as cursor:
        await cursor.execute(sql.encode(), values)
        return await cursor.fetchone()


def _body(budget: Budget) -> dict[str, Any]:
    return {
        "id": str(budget.budget_id),
        "tenant_id": budget.tenant_id,
        "scope": budget.scope,
        "window": budget.budget_window,
        "limit_usd": money_string(usd_decimal(budget.limit_pico_usd)),
        "thresholds": budget.thresholds,
        "created_at": budget.created_at,
    }


def _said(budget: Budget) -> dict[str, object]:
    return {name: value for name, value in _body(budget).items() if name not in ("id", "created_at")}
