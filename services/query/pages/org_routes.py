"""Organisations (tenants) by what they spend; one of them: its models, trend and newest requests. Admins only."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from psycopg import AsyncConnection

from services.query.auth import Admin
from services.query.pages.answers import PAGE_HEADERS, PageRoute, page
from services.query.pages.chrome import filter_bar, through
from services.query.pages.drill import request_rows
from services.query.pages.figures import OrgFigures
from services.query.pages.links import PageState, segment
from services.query.pages.orgs import least_pico_usd, org_page, org_rows, orgs_sentence
from services.query.pages.ranges import PageRange
from services.query.pages.reading import Source, compare, if_kept, read_tenants, to_next_hour
from services.query.pages.request import asked_of
from services.query.pages.scope import Scope, UnknownTenant, scope_for
from services.query.pages.surroundings import surroundings
from services.query.parts import parts_of
from services.query.read.calls import CallFilter, read_newest_requests
from services.query.read.first import read_first_moment
from services.query.read.session import reading

REQUESTS_SHOWN: Final = 50

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/orgs")
@router.get("/admin/llm-costs/orgs")
async def orgs(request: Request, principal: Admin) -> Response:
    parts = parts_of(request)
    asked, now = asked_of(request, "30d"), parts.clock()
    if asked.tenant:
        return RedirectResponse(f"/orgs/{segment(asked.tenant)}?range={asked.range_name}", 303, PAGE_HEADERS)
    text = request.query_params.get("min", "").strip()
    least = least_pico_usd(text)
    async with reading(parts.reads) as conn:
        scope = scope_for(principal, await read_tenants(conn), None)
        shown = asked.resolve(now, scope, await read_first_moment(conn, scope.numbers))
        source, span = Source(conn, scope.numbers, scope.zone), to_next_hour(shown.now, running=shown.running)
        found = await source.breakdown(span, ("tenant_id",))
        items = found.by("tenant_id")
        if shown.before is not None:
            earlier = await if_kept(source.breakdown(shown.before, ("tenant_id",)))
            items = compare(items, earlier.by("tenant_id")) if earlier else items
        around = await surroundings(request, conn, principal, scope, "orgs")
    state = replace(asked.state("/orgs", tenant=None), filters=(("min", text),) if least else ())
    names = {tenant.tenant_id: tenant.name for tenant in scope.readable}
    table = org_rows(items, found.total, least, names, state)
    bar = filter_bar(state, shown, through(found.data_through, now, shown), (), tenant=None, tenant_action="/orgs")
    context: dict[str, object] = {
        "bar": bar, "rows": table, "least": text if least else "", "has_events": bool(items),
        "sentence": orgs_sentence(table, found.total, least, shown),
    }  # fmt: skip
    return page(request, "orgs.html", {**around, **context})


@router.get("/orgs/{tenant_id:path}")
@router.get("/admin/llm-costs/orgs/{tenant_id:path}")
async def org(request: Request, tenant_id: str, principal: Admin) -> Response:
    parts = parts_of(request)
    asked, now = asked_of(request, "30d"), parts.clock()
    async with reading(parts.reads) as conn:
        scope = scope_for(principal, await read_tenants(conn), tenant_id)
        if scope.tenant is None:
            raise UnknownTenant(tenant_id)
        shown = asked.resolve(now, scope, await read_first_moment(conn, scope.numbers))
        figures = await _read(conn, scope, tenant_id, shown)
        span = to_next_hour(shown.now, running=shown.running)
        requests = await read_newest_requests(conn, CallFilter(scope.numbers, span.start, span.end), REQUESTS_SHOWN)
        around = await surroundings(request, conn, principal, scope, "orgs")
    state = PageState(f"/orgs/{segment(tenant_id)}", asked.range_name, None, asked.first_day, asked.last_day)
    bar = filter_bar(
        state, shown, through(figures.data_through, now, shown), scope.names, tenant=tenant_id, tenant_action="/orgs",
        all_tenants=True,
    )  # fmt: skip
    context: dict[str, object] = {
        "bar": bar, "page": org_page(figures, scope.tenant.name, state), "requests": request_rows(requests),
        "name": scope.tenant.name, "zone": scope.zone, "back": state.at("/orgs"),
        "overview": PageState("/", asked.range_name, tenant_id, asked.first_day, asked.last_day).url(),
    }  # fmt: skip
    return page(request, "org.html", {**around, **context})


async def _read(conn: AsyncConnection[Any], scope: Scope, tenant_id: str, shown: PageRange) -> OrgFigures:
    source, span = Source(conn, scope.numbers, scope.zone), to_next_hour(shown.now, running=shown.running)
    found = await source.breakdown(span, ("provider", "model"))
    earlier = await if_kept(source.total(shown.before)) if shown.before else None
    buckets, points = await source.series(span, shown.granularity, "provider")
    return OrgFigures(
        shown=shown, tenant_id=tenant_id, data_through=found.data_through, total=found.total,
        before=earlier[0] if earlier else None,
        buckets=buckets, series=points, providers=found.by("provider"), models=found.by("model", "provider"),
    )  # fmt: skip
