"""The web pages: each reads its figures from one snapshot, makes a view of them, renders it."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from inspect import isawaitable
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from psycopg import AsyncConnection
from starlette.exceptions import HTTPException

from services.query.api.problems import wants_page
from services.query.auth import Reader
from services.query.pages import (
    alert_routes,
    assets,
    budget_routes,
    drill_routes,
    manage_routes,
    org_routes,
    price_routes,
)
from services.query.pages.answers import PAGE_HEADERS, PageRoute, fragment, is_poll, not_there, page, unchanged
from services.query.pages.chrome import through
from services.query.pages.links import PageState, segment
from services.query.pages.overview import overview_page
from services.query.pages.payroll import payroll_page
from services.query.pages.ranges import PageRange
from services.query.pages.read_overview import read_overview
from services.query.pages.read_payroll import read_payroll
from services.query.pages.reading import read_mark, read_tenants
from services.query.pages.request import asked_of
from services.query.pages.scope import UnknownTenant, scope_for
from services.query.pages.signin import sign_in_page
from services.query.pages.surroundings import surroundings
from services.query.parts import parts_of
from services.query.read.first import read_first_moment
from services.query.read.freshness import read_data_through
from services.query.read.session import beside, reading

pages = APIRouter(include_in_schema=False, route_class=PageRoute)


async def _mark(
    conn: AsyncConnection[Any], request: Request, now: datetime, shown: PageRange
) -> tuple[str, Response | None]:
    """The state of the store, and the answer to a poll that has seen it. Each minute everything is read anew."""
    mark = f"{await read_mark(conn)} {now:%H:%M}"
    live = through(await read_data_through(conn), now, shown)
    return mark, unchanged(request, mark, live.text, live.state)


def _whole_or_part(request: Request, name: str, context: dict[str, object], mark: str) -> Response:
    if is_poll(request):
        return fragment(request, f"{name}_figures.html", context, mark)
    return page(request, f"{name}.html", context)


@pages.get("/")
@pages.get("/analytics/cost")
@pages.get("/admin/llm-costs")
async def overview(request: Request, principal: Reader) -> Response:
    parts = parts_of(request)
    asked, now = asked_of(request, "7d"), parts.clock()
    async with reading(parts.reads) as conn:
        scope = scope_for(principal, await read_tenants(conn), asked.tenant)
        oldest = await read_first_moment(conn, scope.numbers)
        shown = asked.resolve(now, scope, oldest)
        mark, quiet = await _mark(conn, request, now, shown)
        if quiet is not None:
            return quiet
        async with beside(parts.reads, conn) as other:
            figures = await read_overview(conn, other, scope, shown, asked.filters, now, oldest)
        around = await surroundings(request, conn, principal, scope, "overview")
    state = asked.state(request.url.path, tenant=scope.tenant_id if principal.tenant_id is None else None)
    view = overview_page(figures, state, scope.names)
    context: dict[str, object] = {**around, "page": view}
    return _whole_or_part(request, "overview", context, mark)


@pages.get("/usage")
async def usage(request: Request, principal: Reader) -> Response:
    """Chooses the tenant: the only one there is, the one asked for, or a list to pick from."""
    parts = parts_of(request)
    async with reading(parts.reads) as conn:
        scope = scope_for(principal, await read_tenants(conn), request.query_params.get("tenant"))
        around = await surroundings(request, conn, principal, scope, "usage")
    only = scope.tenant or (scope.readable[0] if len(scope.readable) == 1 else None)
    if only is not None:
        kept = "&".join(part for part in request.url.query.split("&") if part and not part.startswith("tenant="))
        return RedirectResponse(f"/usage/{segment(only.tenant_id)}" + (f"?{kept}" if kept else ""), 303, PAGE_HEADERS)
    tenants = [
        {"tenant_id": t.tenant_id, "name": t.name, "zone": t.zone.key, "path": segment(t.tenant_id)}
        for t in scope.readable
    ]
    return page(request, "usage.html", {**around, "tenants": tenants})


@pages.get("/usage/{tenant_id:path}")
async def payroll(request: Request, tenant_id: str, principal: Reader) -> Response:
    parts = parts_of(request)
    asked, now = asked_of(request, "30d"), parts.clock()
    async with reading(parts.reads) as conn:
        scope = scope_for(principal, await read_tenants(conn), tenant_id)
        if scope.tenant is None:
            raise UnknownTenant(tenant_id)
        oldest = await read_first_moment(conn, scope.numbers)
        shown = asked.resolve(now, scope, oldest)
        mark, quiet = await _mark(conn, request, now, shown)
        if quiet is not None:
            return quiet
        figures = await read_payroll(conn, scope.tenant, shown, now)
        around = await surroundings(request, conn, principal, scope, "usage")
    state = PageState(f"/usage/{segment(tenant_id)}", asked.range_name, None, asked.first_day, asked.last_day)
    view = payroll_page(figures, state, scope.names, has_events=oldest is not None)
    context: dict[str, object] = {**around, "page": view}
    return _whole_or_part(request, "payroll", context, mark)


router = APIRouter()
router.include_router(assets.router)
router.include_router(pages)
router.include_router(drill_routes.router)
router.include_router(price_routes.router)
router.include_router(manage_routes.router)
router.include_router(org_routes.router)
router.include_router(budget_routes.router)
router.include_router(alert_routes.router)


def install(app: FastAPI) -> None:
    """Adds the pages to the app, and gives its sign-in a face."""
    app.include_router(router)
    app.state.sign_in_page = sign_in_page
    told = app.exception_handlers.get(HTTPException)
    assert told is not None, "the app answers problems before it has pages"

    async def page_or_problem(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException) and error.status_code == HTTPStatus.NOT_FOUND and wants_page(request):
            return not_there(request)
        answer = told(request, error)
        return await answer if isawaitable(answer) else answer

    app.add_exception_handler(HTTPException, page_or_problem)
