"""Raw calls behind the sums: requests of a feature, attempts of a request, the newest calls, all bounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row, dict_row

from pricing.usage import COMPLETION_CLASSES, PROMPT_CLASSES
from services.contracts.event_key import event_key
from services.query.read.sources import RAW_FROM
from services.query.read.statement import tenant_condition

_PROMPT = " + ".join(f"e.{name}" for name in PROMPT_CLASSES)
_COMPLETION = " + ".join(f"e.{name}" for name in COMPLETION_CLASSES)
_COST = "(coalesce(e.cost_pico_usd, 0) + coalesce(a.delta_pico_usd, 0))::bigint"
# A call without a request id is its own request, known by its event's id.
REQUEST_ID = "coalesce(nullif(e.request_id, ''), e.event_id)"
# Newest first: most pages are full after the first of these.
_WINDOWS = tuple(timedelta(hours=hours) for hours in (1, 6, 24, 24 * 7))

CALL_COLUMNS = f"""t.tenant_id, e.tenant_no, e.event_id, {REQUEST_ID} AS request_id, e.run_id, e.attempt, e.occurred_at,
    e.provider, e.model, e.tier, e.feature, e.agent_id, e.customer_id, e.user_id, e.channel, e.region,
    e.service_tier, e.status, e.error_type, e.superseded, e.cache_hit, e.latency_ms, e.retry_count,
    e.prompt_template_id, e.prompt_template_version,
    ({_PROMPT})::bigint AS prompt_tokens, ({_COMPLETION})::bigint AS completion_tokens, {_COST} AS cost_pico_usd,
    (e.cost_pico_usd IS NULL AND a.healed IS NOT TRUE) AS unpriced"""
CALL_FROM = f"{RAW_FROM} JOIN tenant AS t USING (tenant_no)"


@dataclass(frozen=True, slots=True)
class Call:
    """One event with what it costs now, corrections included. Tokens are counts; `latency_ms` None was not measured."""

    tenant_id: str
    tenant_no: int
    event_id: str
    request_id: str
    run_id: str
    attempt: int
    occurred_at: datetime
    provider: str
    model: str
    tier: str
    feature: str
    agent_id: str
    customer_id: str
    user_id: str
    channel: str
    region: str
    service_tier: str
    status: str
    error_type: str
    superseded: bool
    cache_hit: bool
    latency_ms: int | None
    retry_count: int
    prompt_template_id: str
    prompt_template_version: str
    prompt_tokens: int
    completion_tokens: int
    cost_pico_usd: int
    unpriced: bool

    @property
    def wasted(self) -> bool:
        return self.status != "ok" or self.superseded


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which raw calls: of these tenants (None: all) in [start, end), with these values of columns."""

    tenants: tuple[int, ...] | None
    start: datetime
    end: datetime
    values: tuple[tuple[str, str], ...] = ()

    def where(self, start: datetime | None = None) -> tuple[str, dict[str, object]]:
        """The condition on `e` and its parameters; `start` narrows the range."""
        parameters: dict[str, object] = {"start": start or self.start, "end": self.end}
        conditions = ["e.occurred_at >= %(start)s", "e.occurred_at < %(end)s", *tenant_condition(self.tenants, "e.")]
        for name, value in self.values:
            conditions.append(f"e.{name} = %({name})s")
            parameters[name] = value
        return " AND ".join(conditions), parameters


async def read_newest_calls(conn: AsyncConnection[Any], wanted: CallFilter, limit: int) -> list[Call]:
    """The newest calls; only as much of the range is read as fills the limit."""
    calls: list[Call] = []
    for start in _starts(wanted):
        where, parameters = wanted.where(start)
        sql = (
            f"SELECT {CALL_COLUMNS} FROM {CALL_FROM} WHERE {where} "
            f"ORDER BY e.occurred_at DESC, e.event_id LIMIT {int(limit)}"
        )
        calls = await _calls(conn, sql, parameters)
        if len(calls) >= limit:
            break
    return calls


async def read_newest_requests(conn: AsyncConnection[Any], wanted: CallFilter, limit: int) -> list[list[Call]]:
    """The attempts of each of the newest requests that have a call as wanted, newest request first."""
    keys: list[dict[str, Any]] = []
    for start in _starts(wanted):
        where, parameters = wanted.where(start)
        async with conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(
                f"SELECT e.tenant_no, e.request_id, CASE WHEN e.request_id = '' THEN e.event_key END AS event_key, "
                f"max(e.occurred_at) AS newest FROM usage_event AS e WHERE {where} GROUP BY 1, 2, 3 "
                f"ORDER BY newest DESC LIMIT {int(limit)}",
                parameters,
                prepare=False,
            )
            keys = await cursor.fetchall()
        if len(keys) >= limit:
            break
    return await _attempts(conn, keys)


async def _attempts(conn: AsyncConnection[Any], keys: Sequence[dict[str, Any]]) -> list[list[Call]]:
    found: dict[tuple[int, str], list[Call]] = {}
    named = [key for key in keys if key["request_id"]]
    single = [key for key in keys if not key["request_id"]]
    if named:
        sql = (
            f"SELECT {CALL_COLUMNS} FROM unnest(%(nos)s::integer[], %(ids)s::text[]) AS k (tenant_no, request_id) "
            f"JOIN (SELECT * FROM usage_event) AS e ON e.tenant_no = k.tenant_no AND e.request_id = k.request_id "
            f"AND e.request_id <> '' {_JOINS}"
        )
        values: dict[str, object] = {"nos": [k["tenant_no"] for k in named], "ids": [k["request_id"] for k in named]}
        for call in await _calls(conn, sql, values):
            found.setdefault((call.tenant_no, call.request_id), []).append(call)
    if single:
        sql = (
            f"SELECT {CALL_COLUMNS} FROM unnest(%(nos)s::integer[], %(keys)s::uuid[], %(times)s::timestamptz[]) "
            f"AS k (tenant_no, event_key, at) JOIN (SELECT * FROM usage_event) AS e ON e.tenant_no = k.tenant_no "
            f"AND e.occurred_at = k.at AND e.event_key = k.event_key {_JOINS}"
        )
        values = {name: [key[column] for key in single] for name, column in _SINGLE.items()}
        for call in await _calls(conn, sql, values):
            found.setdefault((call.tenant_no, call.request_id), []).append(call)
    ordered = sorted(found.values(), key=lambda calls: max(call.occurred_at for call in calls), reverse=True)
    return [sorted(calls, key=_by_attempt) for calls in ordered]


_SINGLE = {"nos": "tenant_no", "keys": "event_key", "times": "newest"}
_JOINS = f"{RAW_FROM.removeprefix('usage_event AS e ')} JOIN tenant AS t ON t.tenant_no = e.tenant_no"


def _by_attempt(call: Call) -> tuple[int, datetime, str]:
    return call.attempt, call.occurred_at, call.event_id


async def read_request(conn: AsyncConnection[Any], tenants: tuple[int, ...] | None, request_id: str) -> list[Call]:
    """All calls of a request by attempt, of every tenant of `tenants` that has one of this id; empty without one."""
    wheres = tenant_condition(tenants, "e.") or ["e.tenant_no = ANY(ARRAY(SELECT tenant_no FROM tenant))"]
    where = " AND ".join((*wheres, "e.request_id = %(id)s AND e.request_id <> ''"))
    calls = await _calls(conn, f"SELECT {CALL_COLUMNS} FROM {CALL_FROM} WHERE {where} LIMIT 10000", {"id": request_id})
    if not calls:
        # A call without a request id: the table of identities knows when its event happened.
        known = " AND ".join(tenant_condition(tenants, "") or ["tenant_no = ANY(ARRAY(SELECT tenant_no FROM tenant))"])
        sql = (
            f"SELECT {CALL_COLUMNS} FROM (SELECT tenant_no, occurred_at FROM event_identity "
            f"WHERE {known} AND event_key = %(key)s) AS k JOIN (SELECT * FROM usage_event) AS e "
            f"ON e.tenant_no = k.tenant_no AND e.occurred_at = k.occurred_at AND e.event_key = %(key)s {_JOINS} "
            "WHERE e.event_id = %(id)s AND e.request_id = ''"
        )
        calls = await _calls(conn, sql, {"id": request_id, "key": UUID(bytes=event_key(request_id))})
    return sorted(calls, key=_by_attempt)


async def _calls(conn: AsyncConnection[Any], sql: str, parameters: dict[str, object]) -> list[Call]:
    async with conn.cursor(row_factory=class_row(Call)) as cursor:
        await cursor.execute(sql.encode(), parameters, prepare=False)
        return await cursor.fetchall()


def _starts(wanted: CallFilter) -> list[datetime]:
    tries = [wanted.end - window for window in _WINDOWS]
    return [*(start for start in tries if start > wanted.start), wanted.start]
