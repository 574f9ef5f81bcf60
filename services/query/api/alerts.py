"""Alert rules and what they told: admins only. The alerting worker evaluates and sends; here is only what it reads."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from services.query.api.admin_log import write_admin_log
from services.query.api.alert_bodies import AlertBody, masked, rule_body, test_payload
from services.query.api.parameters import Limit, NoParameters
from services.query.api.problems import Complaint, not_found, wrong_parameters
from services.query.api.shapes import json_response
from services.query.auth import Admin
from services.query.parts import QueryParts, parts_of
from services.query.read.session import reading
from services.query.read.tenants import find_tenant

router = APIRouter(prefix="/api/v1/admin/llm-costs/alerts", tags=["alerts"])
Parts = Annotated[QueryParts, Depends(parts_of)]
Nothing = Annotated[NoParameters, Query()]
_RULES_MAX = 1_000
_WRITTEN = (
    "name", "alert_type", "threshold_cents", "threshold_percent", "tenant_id", "scope", "notification_emails",
    "slack_webhook", "webhook_url", "notification_frequency", "is_active", "silenced_until",
)  # fmt: skip
_NO_RULE = "There is no such alert."
# Each alert with its messages; one query, bounded by the page.
_HISTORY = """
SELECT a.alert_id, a.rule_id, r.name, r.alert_type, a.tenant_id, a.series, a.title, a.summary, a.state, a.threshold,
    a.window_start, a.fired_at, a.resolved_at,
    coalesce((SELECT jsonb_agg(jsonb_build_object('channel', n.channel, 'state', n.state, 'attempts', n.attempts,
        'lastError', n.last_error, 'sentAt', n.sent_at) ORDER BY n.created_at) FROM notification AS n
        WHERE n.alert_id = a.alert_id), '[]') AS notifications
FROM alert AS a JOIN alert_rule AS r USING (rule_id) ORDER BY a.fired_at DESC, a.alert_id LIMIT %s
"""


class HistoryParameters(NoParameters):
    limit: Limit = 100


@router.get("", summary="Alert rules, oldest first")
async def get_alerts(_caller: Admin, _asked: Nothing, parts: Parts) -> Response:
    async with reading(parts.reads) as conn, conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SELECT * FROM alert_rule ORDER BY created_at, name LIMIT %s", (_RULES_MAX,))
        return _success([rule_body(row) for row in await cursor.fetchall()])


@router.post("", status_code=201, summary="Add an alert rule")
async def post_alert(caller: Admin, body: AlertBody, _asked: Nothing, parts: Parts) -> Response:
    async with parts.writes.connection() as conn:
        values = await _values(conn, body, None)
        row = await _one(
            conn,
            f"INSERT INTO alert_rule ({', '.join(_WRITTEN)}) VALUES ({_holes()}) RETURNING *",
            values,
        )
        assert row is not None
        await write_admin_log(conn, caller, "alert.create", str(row["rule_id"]), {"name": body.name})
    return _success(rule_body(row), 201)


@router.get("/history", summary="What was told, newest first")
async def get_history(_caller: Admin, asked: Annotated[HistoryParameters, Query()], parts: Parts) -> Response:
    async with reading(parts.reads) as conn, conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_HISTORY.encode(), (asked.limit,))
        return _success([_told(row) for row in await cursor.fetchall()])


@router.get("/{rule_id}", summary="One alert rule")
async def get_alert(_caller: Admin, rule_id: str, _asked: Nothing, parts: Parts) -> Response:
    async with reading(parts.reads) as conn:
        return _success(rule_body(await _rule(conn, rule_id)))


@router.put("/{rule_id}", summary="Replace an alert rule")
async def put_alert(caller: Admin, rule_id: str, body: AlertBody, _asked: Nothing, parts: Parts) -> Response:
    async with parts.writes.connection() as conn:
        values = await _values(conn, body, await _rule(conn, rule_id))
        changes = ", ".join(f"{name} = %({name})s" for name in _WRITTEN)
        row = await _one(
            conn,
            f"UPDATE alert_rule SET {changes}, updated_at = now() WHERE rule_id = %(rule_id)s RETURNING *",
            {**values, "rule_id": _uuid(rule_id)},
        )
        if row is None:
            raise not_found(_NO_RULE)
        await write_admin_log(conn, caller, "alert.change", rule_id, {"name": body.name})
    return _success(rule_body(row))


@router.delete("/{rule_id}", status_code=204, summary="Remove an alert rule and its history")
async def delete_alert(caller: Admin, rule_id: str, _asked: Nothing, parts: Parts) -> Response:
    async with parts.writes.connection() as conn:
        row = await _one(
            conn, "DELETE FROM alert_rule WHERE rule_id = %(rule_id)s RETURNING name", {"rule_id": _uuid(rule_id)}
        )
        if row is None:
            raise not_found(_NO_RULE)
        await write_admin_log(conn, caller, "alert.delete", rule_id, {"name": row["name"]})
    return Response(status_code=204)


@router.post("/{rule_id}/test", status_code=202, summary="Send a test to each channel of a rule")
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


async def _values(conn: AsyncConnection[Any], body: AlertBody, before: dict[str, Any] | None) -> dict[str, Any]:
    """Column values; Problem 400 where the organisation is unknown. A masked address keeps the one there is."""
    if body.organization_id is not None and await find_tenant(conn, body.organization_id) is None:
        raise wrong_parameters([Complaint("organizationId", "there is no such organisation")])
    values = {name: getattr(body, name) for name in _WRITTEN if name not in ("tenant_id", "scope")}
    for name in ("slack_webhook", "webhook_url"):
        if before is not None and values[name] is not None and values[name] == masked(before[name]):
            values[name] = before[name]
    return {**values, "tenant_id": body.organization_id, "scope": Jsonb(body.scope)}


def _holes() -> str:
    return ", ".join(f"%({name})s" for name in _WRITTEN)


async def _rule(conn: AsyncConnection[Any], rule_id: str) -> dict[str, Any]:
    row = await _one(conn, "SELECT * FROM alert_rule WHERE rule_id = %(rule_id)s", {"rule_id": _uuid(rule_id)})
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
