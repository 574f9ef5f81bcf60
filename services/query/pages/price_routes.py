"""The page of prices: what has none, one model's history, overrides by an admin, the whole book."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from pricing.entries import PriceBook
from services.contracts.keys import Principal
from services.query.api.parameters import NoParameters
from services.query.api.price_overrides import delete_override, post_override, read_overrides
from services.query.api.problems import Problem
from services.query.auth import Admin, Reader
from services.query.pages.answers import PageRoute, page
from services.query.pages.forms import Fields, Form, FormFault, renamed
from services.query.pages.override_form import (
    EMPTY,
    FIRST_CLASSES,
    KINDS,
    OTHER_CLASSES,
    TIERS,
    name_of,
    new_override,
    override_rows,
    price_fields,
)
from services.query.pages.posting import done, done_words, fields_of
from services.query.pages.prices import history_chart, model_href, model_rows, price_rows, unpriced_sentence
from services.query.pages.reading import read_tenants
from services.query.pages.scope import Scope, scope_for
from services.query.pages.surroundings import surroundings
from services.query.parts import parts_of
from services.query.read.session import reading
from services.query.read.statement import tenant_condition

_HERE: Final = "/prices"
_UNPRICED_DAYS: Final = 90
_UNPRICED_SHOWN: Final = 100
_OVERRIDES_SHOWN: Final = 200

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/prices")
async def prices(request: Request, principal: Reader) -> Response:
    return await _show(request, principal, None)


@router.post("/prices/overrides")
async def make_override(request: Request, principal: Admin) -> Response:
    fields = await fields_of(request)
    try:
        await post_override(principal, new_override(fields), NoParameters(), parts_of(request))
    except (FormFault, Problem) as wrong:
        return await _show(request, principal, _form(fields, _faults(wrong)))
    return done(_HERE, "made")


@router.post("/prices/overrides/{override_id}/delete")
async def remove_override(request: Request, override_id: str, principal: Admin) -> Response:
    await delete_override(principal, override_id, NoParameters(), parts_of(request))
    return done(_HERE, "changed")


def _faults(wrong: FormFault | Problem) -> dict[str, str]:
    """Raises a Problem again that is about no field."""
    if isinstance(wrong, FormFault):
        return wrong.faults
    if not wrong.complaints:
        raise wrong
    known = ((one.parameter, one.detail) for one in wrong.complaints)
    faults: dict[str, str] = {}
    for name, detail in renamed(((name_of(parameter), detail) for parameter, detail in known), str).items():
        shown = detail.replace("Say past: true if that is meant", "Tick the box below if that is meant")
        faults[name] = shown
    return faults


def _form(fields: Fields, faults: Mapping[str, str] | None = None) -> Form:
    return Form(f"{_HERE}/overrides", "New override", "Add the override", fields, faults or {})


async def _show(request: Request, principal: Principal, form: Form | None) -> Response:
    """The page; with what was typed and what is wrong with it where a form came back."""
    parts = parts_of(request)
    now, asked = parts.clock(), request.query_params
    async with reading(parts.reads) as conn:
        scope = scope_for(principal, await read_tenants(conn), asked.get("tenant"))
        unpriced = await _unpriced(conn, scope, now)
        around = await surroundings(request, conn, principal, scope, "prices")
    found = await parts.books.read(parts.writes, parts.book)
    is_admin, wrong = principal.role == "admin", form is not None
    if is_admin and form is None:
        form = _form({**EMPTY, "tenant_id": scope.tenant_id or "", "provider": asked.get("provider", ""),
                      "model": asked.get("model", "")})  # fmt: skip
    overrides = await read_overrides(parts, scope.tenant_id, _OVERRIDES_SHOWN) if is_admin else []
    context: dict[str, object] = {
        "rows": price_rows(found.book, now.date()), "unpriced": unpriced, "sentence": unpriced_sentence(unpriced),
        "version": found.book.version, "refused": found.refused if is_admin else (), "form": form,
        "overrides": override_rows(overrides, now), "kinds": KINDS, "tiers": TIERS, "done": done_words(request),
        "first_fields": price_fields(FIRST_CLASSES), "other_fields": price_fields(OTHER_CLASSES),
        "tenants": scope.names, "providers": sorted(found.book.providers),
        "shown": _history(found.book, asked.get("provider"), asked.get("model"), now),
    }  # fmt: skip
    return page(request, "prices.html", {**around, **context}, HTTPStatus.BAD_REQUEST if wrong else HTTPStatus.OK)


def _history(book: PriceBook, provider: str | None, model: str | None, now: datetime) -> dict[str, object] | None:
    """One model's, by a name that events may use; None where the book has none."""
    known = book.provider(provider) if provider else None
    found = known.find(model) if known is not None and model else None
    if known is None or found is None:
        return None
    rows = tuple(model_rows(known.name, found, now.date()))
    name = found.name.partition("/")[2]
    chart = history_chart(found, now)
    legend = [(one.label, one.colour, "") for one in chart.series]
    return {"provider": known.name, "model": name, "asked": model, "chart": chart, "legend": legend, "rows": rows}


async def _unpriced(conn: AsyncConnection[Any], scope: Scope, now: datetime) -> list[dict[str, Any]]:
    """Models that were called without a price: how many calls, since when and up to when."""
    where = " AND ".join(("unpriced_events > 0", "bucket >= %(since)s", *tenant_condition(scope.numbers, "")))
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT provider, model, sum(unpriced_events)::bigint AS calls, min(bucket) AS since, max(bucket) AS last "
            f"FROM usage_day WHERE {where} GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT {_UNPRICED_SHOWN}".encode(),
            {"since": now - timedelta(days=_UNPRICED_DAYS)},
        )
        rows = await cursor.fetchall()
    return [{**row, "href": model_href(row["provider"], row["model"])} for row in rows]
