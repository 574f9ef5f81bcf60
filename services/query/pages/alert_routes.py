"""The page of alerts: what fired and who was told, the rules, and what an admin may do with them.

What it changes goes through the API's own functions, which write the admin log.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final, cast

import orjson
from fastapi import APIRouter, Request, Response
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from services.contracts.keys import Principal
from services.query.api.alerts import delete_alert, get_alert, post_alert, post_alert_test, put_alert
from services.query.api.parameters import NoParameters
from services.query.api.problems import Complaint, Problem, wrong_parameters
from services.query.auth import Admin, Reader
from services.query.pages.alert_form import EMPTY, FREQUENCIES, TYPES, alert_body, alert_fields, name_of
from services.query.pages.alerts import SILENCES, alert_sentence, fired_rows, rule_rows
from services.query.pages.answers import PageRoute, page
from services.query.pages.forms import SCOPE_KINDS, Fields, Form, FormFault, renamed
from services.query.pages.links import segment
from services.query.pages.posting import done, done_words, fields_of
from services.query.pages.reading import read_tenants
from services.query.pages.scope import scope_for
from services.query.pages.surroundings import surroundings
from services.query.parts import QueryParts, parts_of
from services.query.read.session import reading

ALERTS_SHOWN: Final = 100
_HERE: Final = "/alerts"
_NOTHING: Final = NoParameters()

router = APIRouter(include_in_schema=False, route_class=PageRoute)

_ALERTS = """
SELECT a.alert_id, r.name AS rule, a.title, a.summary, a.state, a.fired_at, a.resolved_at, a.threshold,
    coalesce((SELECT jsonb_agg(jsonb_build_object('channel', n.channel, 'target', n.target, 'state', n.state,
        'attempts', n.attempts, 'reason', n.last_error) ORDER BY n.created_at, n.channel)
        FROM notification AS n WHERE n.alert_id = a.alert_id), '[]') AS told
FROM alert AS a JOIN alert_rule AS r USING (rule_id)
WHERE %(tenant)s::text IS NULL OR a.tenant_id = %(tenant)s ORDER BY a.fired_at DESC, a.alert_id LIMIT %(limit)s
"""
# A rule's channels with the last that became of each, and those nothing is sent to any more.
_RULES = """
SELECT r.rule_id, r.name, r.alert_type, r.threshold_cents, r.threshold_percent, r.tenant_id, r.scope,
    r.notification_frequency, r.is_active, r.silenced_until, r.slack_webhook IS NOT NULL AS slack,
    r.webhook_url IS NOT NULL AS webhook, cardinality(r.notification_emails) AS emails,
    coalesce((SELECT jsonb_object_agg(last.channel, last.reason) FROM (
        SELECT DISTINCT ON (n.channel) n.channel, n.state, coalesce(n.last_error, n.state) AS reason
        FROM notification AS n JOIN alert AS a USING (alert_id) WHERE a.rule_id = r.rule_id
        ORDER BY n.channel, n.created_at DESC) AS last WHERE last.state NOT IN ('sent', 'pending')), '{}') AS failing,
    coalesce((SELECT jsonb_object_agg(p.channel, p.reason) FROM parked_channel AS p
        WHERE p.rule_id = r.rule_id AND p.parked_at >= r.updated_at), '{}') AS parked
FROM alert_rule AS r WHERE %(tenant)s::text IS NULL OR r.tenant_id = %(tenant)s
ORDER BY r.created_at, r.name LIMIT 1000
"""


@router.get("/alerts")
@router.get("/admin/llm-costs/alerts")
async def alerts(request: Request, principal: Reader) -> Response:
    form = None
    if principal.role == "admin":
        wanted = request.query_params.get("edit")
        form = _form(EMPTY, None) if wanted is None else _form(await _fields(request, principal, wanted), wanted)
    return await _list(request, principal, form)


@router.post("/alerts")
async def make_alert(request: Request, principal: Admin) -> Response:
    fields = await fields_of(request)
    try:
        await post_alert(principal, alert_body(fields), _NOTHING, parts_of(request))
    except (FormFault, Problem) as wrong:
        return await _list(request, principal, _form(fields, None, faults=_faults(wrong)))
    return done(_HERE, "made")


@router.post("/alerts/{rule_id}")
async def change_alert(request: Request, rule_id: str, principal: Admin) -> Response:
    parts, fields = parts_of(request), await fields_of(request)
    before = await _rule(parts, principal, rule_id)
    try:
        await put_alert(principal, rule_id, alert_body(fields, before["silencedUntil"]), _NOTHING, parts)
    except (FormFault, Problem) as wrong:
        return await _list(request, principal, _form(fields, rule_id, faults=_faults(wrong)))
    return done(_HERE, "changed")


@router.post("/alerts/{rule_id}/test")
async def test_alert(request: Request, rule_id: str, principal: Admin) -> Response:
    answer = await post_alert_test(principal, rule_id, _NOTHING, parts_of(request))
    return done(_HERE, "tested" if orjson.loads(answer.body)["data"]["queued"] else "untested")


@router.post("/alerts/{rule_id}/silence")
async def silence_alert(request: Request, rule_id: str, principal: Admin) -> Response:
    """For the hours the form names; none wakes it."""
    parts = parts_of(request)
    hours = (await fields_of(request)).get("hours", "")
    if hours not in dict(SILENCES):
        raise wrong_parameters([Complaint("hours", f"one of {', '.join(dict(SILENCES))}")])
    until: datetime | None = parts.clock() + timedelta(hours=int(hours)) if hours != "0" else None
    rule = await _rule(parts, principal, rule_id)
    await put_alert(principal, rule_id, alert_body(alert_fields(rule), until), _NOTHING, parts)
    return done(_HERE, "silenced" if until else "woken")


@router.post("/alerts/{rule_id}/delete")
async def remove_alert(request: Request, rule_id: str, principal: Admin) -> Response:
    await delete_alert(principal, rule_id, _NOTHING, parts_of(request))
    return done(_HERE, "deleted")


async def _rule(parts: QueryParts, principal: Principal, rule_id: str) -> dict[str, Any]:
    """The rule as the API shows it; Problem 404 where there is none."""
    answer = await get_alert(principal, rule_id, _NOTHING, parts)
    return cast("dict[str, Any]", orjson.loads(answer.body)["data"])


async def _fields(request: Request, principal: Principal, rule_id: str) -> dict[str, str]:
    return alert_fields(await _rule(parts_of(request), principal, rule_id))


def _faults(wrong: FormFault | Problem) -> dict[str, str]:
    """Raises a Problem again that is about no field."""
    if isinstance(wrong, FormFault):
        return wrong.faults
    if not wrong.complaints:
        raise wrong
    return renamed(((one.parameter, one.detail) for one in wrong.complaints), name_of)


def _form(fields: Fields, rule_id: str | None, *, faults: Mapping[str, str] | None = None) -> Form:
    if rule_id is None:
        return Form(_HERE, "New alert", "Make the alert", fields, faults or {})
    return Form(f"{_HERE}/{segment(rule_id)}", "Edit alert", "Change it", fields, faults or {}, is_edit=True)


async def _rows(conn: AsyncConnection[Any], sql: str, values: dict[str, object]) -> list[dict[str, Any]]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(sql.encode(), values)
        return await cursor.fetchall()


async def _list(request: Request, principal: Principal, form: Form | None) -> Response:
    """The page; with what was typed and what is wrong with it where a form came back."""
    parts = parts_of(request)
    async with reading(parts.reads) as conn:
        scope = scope_for(principal, await read_tenants(conn), request.query_params.get("tenant"))
        values: dict[str, object] = {"tenant": scope.tenant_id or principal.tenant_id, "limit": ALERTS_SHOWN}
        fired, rules = await _rows(conn, _ALERTS, values), await _rows(conn, _RULES, values)
        around = await surroundings(request, conn, principal, scope, "alerts")
    context: dict[str, object] = {
        "fired": fired_rows(fired), "rules": rule_rows(rules, parts.clock()), "sentence": alert_sentence(fired),
        "zone": scope.zone, "form": form, "types": TYPES, "frequencies": FREQUENCIES, "kinds": SCOPE_KINDS,
        "tenants": scope.names, "silences": SILENCES, "done": done_words(request),
    }  # fmt: skip
    wrong = form is not None and bool(form.faults)
    return page(request, "alerts.html", {**around, **context}, HTTPStatus.BAD_REQUEST if wrong else HTTPStatus.OK)
