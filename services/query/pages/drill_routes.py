"""Pages one drills down to: features, their requests, a request's attempts; runs and their trees."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from fastapi import APIRouter, Request, Response

from services.query.auth import Reader
from services.query.pages.answers import PageRoute, page
from services.query.pages.chrome import filter_bar, through
from services.query.pages.drill import branches, request_rows, request_sentence, run_rows, run_sentence
from services.query.pages.figures import Sums
from services.query.pages.formats import count, listing, milliseconds, money, plural, share
from services.query.pages.links import PageState, segment
from services.query.pages.ranges import period_words
from services.query.pages.reading import FULL, Source, read_tenants, to_next_hour
from services.query.pages.request import Asked, asked_of
from services.query.pages.rows import rows
from services.query.pages.scope import Scope, UnknownTenant, scope_for
from services.query.pages.sentences import Words
from services.query.pages.surroundings import surroundings
from services.query.parts import parts_of
from services.query.read.calls import CallFilter, read_newest_requests, read_request
from services.query.read.first import read_first_moment
from services.query.read.freshness import read_data_through
from services.query.read.runs import RunFilter, read_run, read_runs, read_tree
from services.query.read.session import reading

REQUESTS_SHOWN: Final = 200
RUNS_SHOWN: Final = 100
_ID_LENGTH_MAX: Final = 1_000

router = APIRouter(include_in_schema=False, route_class=PageRoute)


def _state(asked: Asked, path: str, scope: Scope, *, fixed: bool) -> PageState:
    """`fixed`: the reader has one tenant only, which needs no place in the URL."""
    return PageState(path, asked.range_name, None if fixed else scope.tenant_id, asked.first_day, asked.last_day)


@router.get("/features")
async def features(request: Request, principal: Reader) -> Response:
    parts = parts_of(request)
    asked, now = asked_of(request, "7d"), parts.clock()
    async with reading(parts.reads) as conn:
        scope = scope_for(principal, await read_tenants(conn), asked.tenant)
        shown = asked.resolve(now, scope, await read_first_moment(conn, scope.numbers))
        source, span = Source(conn, scope.numbers, scope.zone), to_next_hour(shown.now, running=shown.running)
        items = await source.compared(span, shown.before, "feature", measures=FULL)
        total, data_through = await source.total(span)
        around = await surroundings(request, conn, principal, scope, "features")
    state = _state(asked, "/features", scope, fixed=principal.tenant_id is not None)
    query = state.at("")

    def latency(sums: Sums) -> str:
        return milliseconds(sums.latency_ms_avg)

    table = rows(items, total, lambda i: f"/features/{segment(i.key)}{query}" if i.key else state.at("/") + "&feature=")
    latencies = {item.key: latency(item.sums) for item in items}
    errors = {item.key: share(item.sums.errors, item.sums.calls) for item in items}
    called = [item for item in items if item.sums.calls and item.key]
    dearest = listing([row.key for row in table[:2] if row.key])
    sentence = (
        Words(f"{count(len(called))} {plural(len(called), 'feature')} spent "),
        Words(money(total.cost_pico_usd), "strong"),
        Words(f" {period_words(shown)}" + (f"; most of it {dearest}." if len(called) > 2 else ".")),
    )
    bar = filter_bar(
        state, shown, through(data_through, now, shown), scope.names, tenant=scope.tenant_id, tenant_action="/features"
    )
    context = {"bar": bar, "sentence": sentence, "rows": table, "latencies": latencies, "errors": errors}
    return page(request, "features.html", {**around, **context})


@router.get("/features/{feature:path}")
async def feature_requests(request: Request, feature: str, principal: Reader) -> Response:
    parts = parts_of(request)
    asked, now = asked_of(request, "7d"), parts.clock()
    async with reading(parts.reads) as conn:
        scope = scope_for(principal, await read_tenants(conn), asked.tenant)
        shown = asked.resolve(now, scope, await read_first_moment(conn, scope.numbers))
        span = to_next_hour(shown.now, running=shown.running)
        source = Source(conn, scope.numbers, scope.zone, (("feature", (_id(feature),)),))
        total, data_through = await source.total(span)
        wanted = CallFilter(scope.numbers, span.start, span.end, (("feature", feature),))
        found = await read_newest_requests(conn, wanted, REQUESTS_SHOWN)
        around = await surroundings(request, conn, principal, scope, "features")
    state = _state(asked, f"/features/{segment(feature)}", scope, fixed=principal.tenant_id is not None)
    sentence = (
        Words(f"{feature} spent "),
        Words(money(total.cost_pico_usd), "strong"),
        Words(f" {period_words(shown)}, by {count(total.calls)} {plural(total.calls, 'call')}."),
    )
    bar = filter_bar(
        state, shown, through(data_through, now, shown), scope.names, tenant=scope.tenant_id, tenant_action=state.path
    )
    context = {
        "bar": bar, "sentence": sentence, "feature": feature, "rows": request_rows(found), "zone": scope.zone,
        "limit": REQUESTS_SHOWN, "back": state.at("/features"), "overview": state.at("/"),
    }  # fmt: skip
    return page(request, "feature.html", {**around, **context})


@router.get("/requests/{request_id:path}")
async def request_attempts(request: Request, request_id: str, principal: Reader) -> Response:
    parts = parts_of(request)
    async with reading(parts.reads) as conn:
        scope = scope_for(principal, await read_tenants(conn), request.query_params.get("tenant_id"))
        calls = await read_request(conn, scope.numbers, _id(request_id))
        around = await surroundings(request, conn, principal, scope, "features")
    if not calls:
        raise UnknownTenant(request_id)
    tenants = sorted({call.tenant_id for call in calls})
    # The same id at several tenants: the first is shown, the others are a link away.
    mine = [call for call in calls if call.tenant_id == tenants[0]]
    whole = sum(call.cost_pico_usd for call in mine)
    context = {
        "calls": mine, "request_id": mine[0].request_id, "tenant": tenants[0], "others": tenants[1:],
        "zone": scope.zone,
        "sentence": request_sentence(mine), "feature": mine[0].feature, "run_id": mine[0].run_id,
        "shares": [share(call.cost_pico_usd, whole) for call in mine], "segment": segment,
        "total_tokens": sum(call.prompt_tokens + call.completion_tokens for call in mine),
    }  # fmt: skip
    return page(request, "request.html", {**around, **context})


@router.get("/runs")
async def runs(request: Request, principal: Reader) -> Response:
    parts = parts_of(request)
    asked, now = asked_of(request, "7d"), parts.clock()
    async with reading(parts.reads) as conn:
        scope = scope_for(principal, await read_tenants(conn), asked.tenant)
        shown = asked.resolve(now, scope, await read_first_moment(conn, scope.numbers))
        end = shown.now.end + timedelta(minutes=5) if shown.running else shown.now.end
        agent = dict(asked.filters).get("agent_id")
        found = await read_runs(conn, RunFilter(scope.numbers, shown.now.start, end, agent), RUNS_SHOWN)
        data_through = await read_data_through(conn)
        around = await surroundings(request, conn, principal, scope, "runs")
    state = _state(asked, "/runs", scope, fixed=principal.tenant_id is not None)
    bar = filter_bar(
        state, shown, through(data_through, now, shown), scope.names, tenant=scope.tenant_id, tenant_action="/runs"
    )
    table = run_rows(found)
    spent = sum(row.cost for row in table)
    sentence = (
        Words(f"The newest {count(len(table))} {plural(len(table), 'run')} cost "), Words(money(spent), "strong"),
        Words("."),
    ) if table else (Words(f"No runs {period_words(shown)}."),)  # fmt: skip
    return page(request, "runs.html", {**around, "bar": bar, "sentence": sentence, "rows": table, "zone": scope.zone})


@router.get("/runs/{run_id:path}")
async def run_tree(request: Request, run_id: str, principal: Reader) -> Response:
    parts = parts_of(request)
    async with reading(parts.reads) as conn:
        scope = scope_for(principal, await read_tenants(conn), request.query_params.get("tenant_id"))
        found = await read_run(conn, scope.numbers, _id(run_id))
        if not found:
            raise UnknownTenant(run_id)
        run = found[0]
        root = await read_tree(conn, run)
        around = await surroundings(request, conn, principal, scope, "runs")
    table, is_cut = branches(root)
    context = {"run": run, "rows": table, "is_cut": is_cut, "sentence": run_sentence(run, root), "zone": scope.zone}
    return page(request, "run.html", {**around, **context})


def _id(text: str) -> str:
    """UnknownTenant for what can be no id: nothing has it."""
    if len(text) > _ID_LENGTH_MAX or "\x00" in text:
        raise UnknownTenant(text[:40])
    return text
