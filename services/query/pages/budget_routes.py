"""The page of budgets. What it changes goes through the API's own functions, which write the admin log."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from itertools import groupby
from typing import Any, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response
from psycopg import AsyncConnection

from services.contracts.keys import Principal
from services.query.api.budgets import delete_budget, patch_budget, post_budget
from services.query.api.parameters import NoParameters
from services.query.api.problems import Problem
from services.query.auth import Admin, Reader
from services.query.pages.answers import PageRoute, page
from services.query.pages.budget_form import EMPTY, WINDOWS, budget_change, budget_fields, name_of, new_budget
from services.query.pages.budgets import ALL_TENANTS, budget_rows, budget_sentence
from services.query.pages.forms import SCOPE_KINDS, Fields, Form, FormFault, renamed
from services.query.pages.links import segment
from services.query.pages.posting import done, done_words, fields_of
from services.query.pages.reading import read_tenants
from services.query.pages.scope import UnknownTenant, scope_for
from services.query.pages.surroundings import surroundings
from services.query.parts import parts_of
from services.query.read.budgets import Budget, BudgetState, read_budget_states, read_budgets, read_states_of_all
from services.query.read.session import reading
from services.query.read.tenants import find_tenant

BUDGETS_SHOWN: Final = 200
_HERE: Final = "/budgets"
_UTC: Final = ZoneInfo("UTC")

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/budgets")
async def budgets(request: Request, principal: Reader) -> Response:
    return await _list(request, principal, None)


@router.post("/budgets")
async def make_budget(request: Request, principal: Admin) -> Response:
    fields = await fields_of(request)
    try:
        await post_budget(principal, new_budget(fields), NoParameters(), parts_of(request))
    except (FormFault, Problem) as wrong:
        return await _list(request, principal, _form(fields, None, faults=_faults(wrong)))
    return done(_HERE, "made")


@router.post("/budgets/{budget_id}")
async def change_budget(request: Request, budget_id: str, principal: Admin) -> Response:
    fields = await fields_of(request)
    try:
        await patch_budget(principal, budget_id, budget_change(fields), NoParameters(), parts_of(request))
    except (FormFault, Problem) as wrong:
        return await _list(request, principal, _form(fields, budget_id, faults=_faults(wrong)))
    return done(_HERE, "changed")


@router.post("/budgets/{budget_id}/delete")
async def remove_budget(request: Request, budget_id: str, principal: Admin) -> Response:
    await delete_budget(principal, budget_id, NoParameters(), parts_of(request))
    return done(_HERE, "deleted")


def _faults(wrong: FormFault | Problem) -> dict[str, str]:
    """Raises a Problem again that is about no field."""
    if isinstance(wrong, FormFault):
        return wrong.faults
    if not wrong.complaints:
        raise wrong
    return renamed(((one.parameter, one.detail) for one in wrong.complaints), name_of)


def _form(fields: Fields, budget_id: str | None, *, faults: Mapping[str, str] | None = None) -> Form:
    if budget_id is None:
        return Form(_HERE, "New budget", "Set the budget", fields, faults or {})
    return Form(f"{_HERE}/{segment(budget_id)}", "Edit budget", "Change it", fields, faults or {}, is_edit=True)


async def _list(request: Request, principal: Principal, form: Form | None) -> Response:
    """The page; with what was typed and what is wrong with it where a form came back."""
    parts = parts_of(request)
    async with reading(parts.reads) as conn:
        scope = scope_for(principal, await read_tenants(conn), request.query_params.get("tenant"))
        found = await read_budgets(conn, scope.tenant_id or principal.tenant_id, BUDGETS_SHOWN + 1)
        rows = budget_rows(await _states(conn, found[:BUDGETS_SHOWN], request))
        around = await surroundings(request, conn, principal, scope, "budgets")
    wrong = form is not None and bool(form.faults)
    if principal.role == "admin" and form is None:
        form = _asked_form(request, found, scope.tenant_id)
    context: dict[str, object] = {
        "rows": rows, "sentence": budget_sentence(rows), "form": form, "is_cut": len(found) > BUDGETS_SHOWN,
        "tenants": scope.names, "windows": WINDOWS, "kinds": SCOPE_KINDS, "done": done_words(request),
        "all_tenants": ALL_TENANTS,
    }  # fmt: skip
    return page(request, "budgets.html", {**around, **context}, HTTPStatus.BAD_REQUEST if wrong else HTTPStatus.OK)


def _asked_form(request: Request, found: list[Budget], tenant_id: str | None) -> Form:
    """`?edit=` names the budget whose form is shown."""
    wanted = request.query_params.get("edit")
    if wanted is None:
        return _form({**EMPTY, "tenant_id": tenant_id or ""}, None)
    budget = next((one for one in found if str(one.budget_id) == wanted), None)
    if budget is None:
        raise UnknownTenant(wanted)
    return _form(budget_fields(budget), wanted)


def _tenant_of(budget: Budget) -> str:
    return budget.tenant_id or ""


async def _states(
    conn: AsyncConnection[Any], found: list[Budget], request: Request
) -> list[tuple[BudgetState, ZoneInfo]]:
    now, states = parts_of(request).clock(), list[tuple[BudgetState, ZoneInfo]]()
    of_all = [one for one in found if one.tenant_id is None]
    states += [(state, _UTC) for state in await read_states_of_all(conn, of_all, now)]
    for tenant_id, mine in groupby(sorted(found, key=_tenant_of), key=_tenant_of):
        tenant = await find_tenant(conn, tenant_id) if tenant_id else None
        if tenant is not None:
            states += [(state, tenant.zone) for state in await read_budget_states(conn, tenant, list(mine), now)]
    return states
