"""Pages of those who run it: the audit, keys."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from services.audit.engine import Question
from services.query.auth import Admin
from services.query.pages.answers import PageRoute, page
from services.query.pages.audit_page import audit_context
from services.query.pages.formats import number_word, plural
from services.query.pages.reading import read_tenants
from services.query.pages.scope import scope_for
from services.query.pages.sentences import Sentence, Words
from services.query.pages.surroundings import surroundings
from services.query.parts import parts_of
from services.query.read.audit import live_audit
from services.query.read.session import reading

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/audit")
async def audit(request: Request, principal: Admin) -> Response:
    parts = parts_of(request)
    async with reading(parts.reads) as conn:
        scope = scope_for(principal, await read_tenants(conn), None)
        around = await surroundings(request, conn, principal, scope, "audit")
    report = await live_audit(parts.settings.database_dsn.get_secret_value(), Question())
    return page(request, "audit.html", {**around, **audit_context(report)})


@router.get("/keys")
async def keys(request: Request, principal: Admin) -> Response:
    parts = parts_of(request)
    async with reading(parts.reads) as conn:
        scope = scope_for(principal, await read_tenants(conn), None)
        around = await surroundings(request, conn, principal, scope, "keys")
    records = await parts.keys.list_keys(None, 1_000)
    active = sum(record.revoked_at is None for record in records)
    sentence: Sentence = (
        Words(f"{number_word(active).capitalize()} {plural(active, 'key')} beside the first admin’s."),
    )
    context = {"records": records, "sentence": sentence, "tenants": scope.names}
    return page(request, "keys.html", {**around, **context})
