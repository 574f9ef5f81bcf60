"""Alert rules and what they told: admins only. The alerting worker evaluates and sends; here is only what it reads."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from pydantic.alias_generators import to_camel

from services.query.api.admin_log import write_admin_log
from services.query.api.alert_bodies import AlertBody, masked, rule_body, test_payload
from services.query.api.cursors import make_cursor, place_after
from services.query.api.described.common import NOTHING, answers
from services.query.api.described.families import AlertOut, AlertRuleOut, Queued, Success, SuccessPage
from services.query.api.parameters import Cursor, Limit, NoParameters
from services.query.api.problems import Complaint, Complaints, not_found, wrong_parameters
from services.query.api.scope import refuse_foreign_scope
from services.query.api.shapes import json_response
from services.query.api.webhooks import reason_to_refuse
from services.query.auth import Admin
from services.query.parts import QueryParts, parts_of
from services.query.read.session import reading
from services.query.read.tenants import find_tenant
from services.runtime.sealing import CannotOpen, Sealer

router = APIRouter(prefix="/api/v1/admin/llm-costs/alerts", tags=["alerts"])
Parts = Annotated[QueryParts, Depends(parts_of)]
Nothing = Annotated[NoParameters, Query()]
_RULES_MAX = 1_000
_ADDRESSES = ("slack_webhook", "webhook_url")
_WRITTEN = (
    "name", "alert_type", "threshold_cents", "threshold_percent", "tenant_id", "scope", "notification_emails",
    "slack_webhook", "webhook_url", "notification_frequency", "is_active", "silenced_until",
)  # fmt: skip
_NO_RULE = "There is no such alert."
# Each rule with its channels that nothing is sent to, and why.
_RULES = """
SELECT r.*, coalesce((SELECT jsonb_agg(jsonb_build_object('channel', p.channel, 'target', p.target,
    'reason', p.reason, 'parkedAt', p.parked_at) ORDER BY p.channel, p.target) FROM parked_channel AS p
    WHERE p.rule_id = r.rule_id AND p.parked_at >= r.updated_at), '[]') AS parked
FROM alert_rule AS r WHERE %(rule_id)s::uuid IS NULL OR r.rule_id = %(rule_id)s
ORDER BY r.created_at, r.name LIMIT %(limit)s
"""
# Each alert with its messages; one query, bounded by the page.
_HISTORY = """
SELECT a.alert_id, a.rule_id, r.name, r.alert_type, a.tenant_id, a.series, a.title, a.summary, a.state, a.threshold,
    a.window_start, a.fired_at, a.resolved_at,
    coalesce((SELECT jsonb_agg(jsonb_build_object('channel', n.channel, 'state', n.state, 'attempts', n.attempts,
        'lastError', n.last_error, 'sentAt', n.sent_at) ORDER BY n.created_at) FROM notification AS n
        WHERE n.alert_id = a.alert_id), '[]') AS notifications
FROM alert AS a JOIN alert_rule AS r USING (rule_id)
WHERE %(at)s::timestamptz IS NULL OR (a.fired_at, a.alert_id) < (%(at)s, %(id)s::uuid)
ORDER BY a.fired_at DESC, a.alert_id DESC LIMIT %(limit)s
"""


class HistoryParameters(NoParameters):
    limit: Limit = 100
    cursor: Cursor | None = None


@router.get("", summary="Alert rules, oldest first", responses=answers(Success[list[AlertRuleOut]]))
async def get_alerts(_caller: Admin, _asked: Nothing, parts: Parts) -> Response:
    async with reading(parts.reads) as conn, conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_RULES.encode(), {"rule_id": None, "limit": _RULES_MAX})
        return _success([_shown(row, parts) for row in await cursor.fetchall()])


@router.post("", status_code=201, summary="Add an alert rule", responses=answers(Success[AlertRuleOut], 201))
async def post_alert(caller: Admin, body: AlertBody, _asked: Nothing, parts: Parts) -> Response:
    async with parts.writes.connection() as conn:
        values = await _values(conn, body, None, parts)
        row = await _one(
            conn,
            f"INSERT INTO alert_rule ({', '.join(_WRITTEN)}) VALUES ({_holes()}) RETURNING *",
            values,
        )
        assert row is not None
        await write_admin_log(conn, caller, "alert.create", str(row["rule_id"]), {"name": body.name})
    return _success(_shown(row, parts), 201)


@router.get("/history", summary="What was told, newest first", responses=answers(SuccessPage[AlertOut]))
async def get_history(_caller: Admin, asked: Annotated[HistoryParameters, Query()], parts: Parts) -> Response:
    complaints = Complaints()
    at, alert_id = place_after("history", asked.cursor, (datetime, UUID), complaints) or (None, None)
    complaints.raise_if_any()
    async with reading(parts.reads) as conn, conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_HISTORY.encode(), {"at": at, "id": alert_id, "limit": asked.limit + 1})
        rows = await cursor.fetchall()
    shown = rows[: asked.limit]
    last = (shown[-1]["fired_at"], shown[-1]["alert_id"]) if len(rows) > asked.limit else None
    body = {"success": True, "data": [_told(row) for row in shown], "nextCursor": make_cursor("history", last)}
    return json_response(body)


@router.get("/{rule_id}", summary="One alert rule", responses=answers(Success[AlertRuleOut]))
async def get_alert(_caller: Admin, rule_id: str, _asked: Nothing, parts: Parts) -> Response:
    async with reading(parts.reads) as conn:
        return _success(_shown(await _rule(conn, rule_id), parts))


@router.put("/{rule_id}", summary="Replace an alert rule", responses=answers(Success[AlertRuleOut]))
async def put_alert(caller: Admin, rule_id: str, body: AlertBody, _asked: Nothing, parts: Parts) -> Response:
    async with parts.writes.connection() as conn:
        values = await _values(conn, body, await _rule(conn, rule_id), parts)
        changes = ", ".join(f"{name} = %({name})s" for name in _WRITTEN)
        row = await _one(
            conn,
            f"UPDATE alert_rule SET {changes}, updated_at = now() WHERE rule_id = %(rule_id)s RETURNING *",
            {**values, "rule_id": _uuid(rule_id)},
        )
        if row is None:
            raise not_found(_NO_RULE)
        await write_admin_log(conn, caller, "alert.change", rule_id, {"name": body.name})
    return _success(_shown(row, parts))


@router.delete("/{rule_id}", status_code=204, summary="Remove an alert rule and its history", responses=NOTHING)
async def delete_alert(caller: Admin, rule_id: str, _asked: Nothing, parts: Parts) -> Response:
    async with parts.writes.connection() as conn:
        row = await _one(
            conn, "DELETE FROM alert_rule WHERE rule_id = %(rule_id)s RETURNING name", {"rule_id": _uuid(rule_id)}
        )
        if row is None:
            raise not_found(_NO_RULE)
        await write_admin_log(conn, caller, "alert.delete", rule_id, {"name": row["name"]})
    return Response(status_code=204)


@router.post(
    "/{rule_id}/test",
    status_code=202,
    summary="Send a test to each channel of a rule",
    responses=answers(Success[Queued], 202),
)
async def post_alert_test(caller: Admin, rule_id: str, _asked: Nothing, parts: Parts) -> Response:
    now = parts.clock()
    async with parts.writes.connection() as conn:
        rule = await _rule(conn, rule_id)
        channels = [("slack", "rule")] if rule["slack_webhook"] else []
        channels += [("webhook", "rule")] if rule["webhook_url"] else []
        channels += [("email", address) for address in rule["notification_emails"]]
        title, summary = f"Test of “{rule['name']}”", "This is a test: nothing has happened."
        alert = await _one(
            conn,
            "INSERT INTO alert (rule_id, tenant_id, series, window_start, threshold, state, title, summary, payload, "
            "fired_at, resolved_at) VALUES (%(rule)s, %(tenant)s, 'test', %(now)s, 'test', 'resolved', %(title)s, "
            "%(summary)s, '{}', %(now)s, %(now)s) RETURNING alert_id",
            {"rule": rule["rule_id"], "tenant": rule["tenant_id"], "now": now, "title": title, "summary": summary},
        )
        assert alert is not None
        for channel, target in channels:
            await conn.execute(
                "INSERT INTO notification (alert_id, channel, target, payload) VALUES (%s, %s, %s, %s)",
                (alert["alert_id"], channel, target, Jsonb(test_payload(channel, title, summary, now))),
            )
        await write_admin_log(conn, caller, "alert.test", rule_id, {"channels": [c for c, _ in channels]})
    return _success({"queued": len(channels), "channels": [channel for channel, _ in channels]}, 202)


async def _values(
    conn: AsyncConnection[Any], body: AlertBody, before: dict[str, Any] | None, parts: QueryParts
) -> dict[str, Any]:
    """Column values, addresses sealed; Problem 400 where the organisation is unknown. A masked address keeps the one
    there is.
    """
    if body.organization_id is not None:
        tenant = await find_tenant(conn, body.organization_id)
        if tenant is None:
            raise wrong_parameters([Complaint("organizationId", "there is no such organisation")])
        await refuse_foreign_scope(conn, tenant, body.scope.items())
    values = {name: getattr(body, name) for name in _WRITTEN if name not in ("tenant_id", "scope")}
    sealer, complaints = _sealer(parts), Complaints()
    for name in _ADDRESSES:
        if values[name] is None:
            continue
        if before is not None and before[name] and values[name] == masked(_opened(before[name], sealer)):
            values[name] = before[name]
            continue
        reason = await reason_to_refuse(values[name], parts.settings.allow_private_webhooks)
        if reason is None and not sealer.has_key:
            reason = "addresses are kept sealed: set SPENDSTREAM_ADDRESS_KEY first"
        if reason is not None:
            complaints.add(to_camel(name), reason)
            continue
        values[name] = sealer.seal(values[name])
    complaints.raise_if_any()
    return {**values, "tenant_id": body.organization_id, "scope": Jsonb(body.scope)}


def _sealer(parts: QueryParts) -> Sealer:
    key = parts.settings.address_key
    return Sealer(key.get_secret_value() if key is not None else "")


def _opened(stored: str, sealer: Sealer) -> str:
    """For its mask; one that can't be opened is shown as no more than that there is one."""
    try:
        return sealer.open(stored)
    except CannotOpen:
        return "https://unreadable"


def _shown(row: dict[str, Any], parts: QueryParts) -> dict[str, Any]:
    sealer = _sealer(parts)
    opened = {name: _opened(row[name], sealer) if row[name] else None for name in _ADDRESSES}
    return {**rule_body({**row, **opened}), "parkedChannels": row.get("parked", [])}


def _holes() -> str:
    return ", ".join(f"%({name})s" for name in _WRITTEN)


async def _rule(conn: AsyncConnection[Any], rule_id: str) -> dict[str, Any]:
    row = await _one(conn, _RULES, {"rule_id": _uuid(rule_id), "limit": 1})
    if row is None:
        raise not_found(_NO_RULE)
    return row


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise not_found(_NO_RULE) from None


async def _one(conn: AsyncConnection[Any], sql: str, values: dict[str, Any]) -> dict[str, Any] | None:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(sql.encode(), values)
        return await cursor.fetchone()


def _told(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": str(row["alert_id"]),
        "alertId": str(row["rule_id"]),
        "name": row["name"],
        "alertType": row["alert_type"],
        "organizationId": row["tenant_id"],
        "series": row["series"],
        "title": row["title"],
        "summary": row["summary"],
        "state": row["state"],
        "threshold": row["threshold"],
        "windowStart": row["window_start"],
        "firedAt": row["fired_at"],
        "resolvedAt": row["resolved_at"],
        "notifications": row["notifications"],
    }


def _success(data: object, status: int = 200) -> Response:
    return json_response({"success": True, "data": data}, status)
