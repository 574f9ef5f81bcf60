"""Raw calls behind the sums: requests of a feature, attempts of a request, the newest calls, all bounded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row

from pricing.usage import COMPLETION_CLASSES, PROMPT_CLASSES
from services.contracts.event_key import event_key
from services.query.read.recency import Stretch, looks, within
from services.query.read.sources import RAW_FROM
from services.query.read.statement import tenant_condition

_PROMPT = " + ".join(f"e.{name}" for name in PROMPT_CLASSES)
_COMPLETION = " + ".join(f"e.{name}" for name in COMPLETION_CLASSES)
_COST = "(coalesce(e.cost_pico_usd, 0) + coalesce(a.delta_pico_usd, 0))::bigint"
# A call without a request id is its own request, known by its event's id.
REQUEST_ID = "coalesce(nullif(e.request_id, ''), e.event_id)"
_MICROSECOND = timedelta(microseconds=1)

CALL_COLUMNS = f"""t.tenant_id, e.tenant_no, e.event_key, e.event_id, {REQUEST_ID} AS request_id, e.run_id, e.attempt,
    e.occurred_at, e.provider, e.model, e.tier, e.feature, e.agent_id, e.customer_id, e.user_id, e.channel, e.region,
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
    event_key: UUID
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

    def where(self) -> tuple[str, dict[str, object]]:
        """The condition on `e` and its parameters."""
        parameters: dict[str, object] = {"start": self.start, "end": self.end}
        conditions = ["e.occurred_at >= %(start)s", "e.occurred_at < %(end)s", *self.narrowed(parameters)]
        return " AND ".join(conditions), parameters

    def narrowed(self, parameters: dict[str, object]) -> list[str]:
        """The conditions that are not about time; values are added to `parameters`."""
        parameters |= dict(self.values)
        return [*tenant_condition(self.tenants, "e."), *(f"e.{name} = %({name})s" for name, _ in self.values)]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call stands among all, newest first."""

    occurred_at: datetime
    tenant_no: int
    event_key: UUID

    def row(self) -> tuple[datetime, int, UUID]:
        return self.occurred_at, self.tenant_no, self.event_key


async def read_newest_calls(
    conn: AsyncConnection[Any], wanted: CallFilter, limit: int, after: Place | None = None
) -> list[Call]:
    """The newest calls, from the one after `after` on; only as much of the range is read as fills the limit."""
    places: list[Place] = []
    async for some in _newest_places(conn, wanted, limit, after):
        places += some
        if len(places) >= limit:
            break
    found = await _calls_at(conn, places[:limit])
    return sorted(found, key=_place_of, reverse=True)


async def read_newest_requests(
    conn: AsyncConnection[Any], wanted: CallFilter, limit: int, after: Place | None = None
) -> list[list[Call]]:
    """The attempts of each of the newest requests that have a call as wanted, newest request first.

    A request stands where its newest such call does (`place_of_request`); `after` is the place of the last one of the
    page before. What comes in meanwhile stands before it and moves nothing.
    """
    found: dict[tuple[int, str], _Key] = {}
    async for some in _newest_keys(conn, wanted, limit, after):
        fresh = {key.request: key for key in reversed(some) if key.request not in found}
        if after is not None and fresh:
            # These were on an earlier page, by a newer call of theirs.
            for request in await _with_newer(conn, wanted, after, list(fresh)):
                del fresh[request]
        found |= dict(sorted(fresh.items(), key=lambda item: item[1].order, reverse=True))
        if len(found) >= limit:
            break
    keys = list(found.values())[:limit]
    attempts = await _attempts(conn, keys)
    return [attempts[key.request] for key in keys if key.request in attempts]


def place_of_request(calls: Sequence[Call], wanted: CallFilter) -> Place:
    """Where `read_newest_requests` with `wanted` has these calls of one request."""
    mine = [
        call
        for call in calls
        if wanted.start <= call.occurred_at < wanted.end
        and all(getattr(call, name) == value for name, value in wanted.values)
    ]
    return Place(*max(map(_place_of, mine)))


def place_of(call: Call) -> Place:
    return Place(*_place_of(call))


def _place_of(call: Call) -> tuple[datetime, int, UUID]:
    return call.occurred_at, call.tenant_no, call.event_key


@dataclass(frozen=True, slots=True)
class _Key:
    """A call as lists know it; `request_id` is '' for a call that is its own request."""

    occurred_at: datetime
    tenant_no: int
    event_key: UUID
    request_id: str

    @property
    def order(self) -> tuple[datetime, int, UUID]:
        return self.occurred_at, self.tenant_no, self.event_key

    @property
    def request(self) -> tuple[int, str]:
        return self.tenant_no, self.request_id or f"\x00{self.event_key}"


async def _newest_keys(
    conn: AsyncConnection[Any], wanted: CallFilter, limit: int, after: Place | None
) -> AsyncIterator[list[_Key]]:
    """Calls as wanted after `after`, newest first, some at once, until the range or whoever asks is done."""
    end = wanted.end if after is None else min(wanted.end, after.occurred_at + _MICROSECOND)
    if end <= wanted.start:
        return
    async for look in looks(conn, wanted.tenants, wanted.start, end, wanted.values, limit):
        below = after
        while True:
            some = await _keys_within(conn, wanted, look, limit, below)
            yield some
            if len(some) < limit:
                break
            below = Place(*some[-1].order)


async def _keys_within(
    conn: AsyncConnection[Any], wanted: CallFilter, look: Sequence[Stretch], limit: int, below: Place | None
) -> list[_Key]:
    """The newest of these stretches, at most `limit`."""
    # Bounds of all of them let the planner leave out the chunks outside.
    where, values = CallFilter(wanted.tenants, look[-1].start, look[0].end, wanted.values).where()
    if len(look) > 1:
        where += f" AND ({within(look, 'e.occurred_at', values)})"
    if below is not None:
        where += " AND (e.occurred_at, e.tenant_no, e.event_key) < (%(at)s, %(no)s, %(key)s)"
        values |= {"at": below.occurred_at, "no": below.tenant_no, "key": below.event_key}
    sql = (
        f"SELECT e.occurred_at, e.tenant_no, e.event_key, e.request_id FROM usage_event AS e WHERE {where} "
        f"ORDER BY e.occurred_at DESC, e.tenant_no DESC, e.event_key DESC LIMIT {int(limit)}"
    )
    async with conn.cursor(row_factory=class_row(_Key)) as cursor:
        await cursor.execute(sql.encode(), values, prepare=False)
        return await cursor.fetchall()


async def _newest_places(
    conn: AsyncConnection[Any], wanted: CallFilter, limit: int, after: Place | None
) -> AsyncIterator[list[Place]]:
    async for some in _newest_keys(conn, wanted, limit, after):
        yield [Place(*key.order) for key in some]


async def _with_newer(
    conn: AsyncConnection[Any], wanted: CallFilter, after: Place, requests: list[tuple[int, str]]
) -> list[tuple[int, str]]:
    """Those of these requests that have a call as wanted at `after` or before it in the list."""
    named = [request for request in requests if not request[1].startswith("\x00")]
    if not named or after.occurred_at >= wanted.end:
        return []
    where, values = CallFilter(wanted.tenants, after.occurred_at, wanted.end, wanted.values).where()
    values |= {"nos": sorted({no for no, _ in named}), "ids": [name for _, name in named]}
    values |= {"at": after.occurred_at, "no": after.tenant_no, "key": after.event_key}
    sql = (
        "SELECT DISTINCT e.tenant_no, e.request_id FROM usage_event AS e WHERE e.tenant_no = ANY(%(nos)s) "
        f"AND e.request_id = ANY(%(ids)s) AND e.request_id <> '' AND {where} "
        "AND (e.occurred_at, e.tenant_no, e.event_key) >= (%(at)s, %(no)s, %(key)s)"
    )
    async with conn.cursor() as cursor:
        await cursor.execute(sql.encode(), values, prepare=False)
        return [(row[0], row[1]) for row in await cursor.fetchall() if (row[0], row[1]) in named]


# What is looked up by several columns is looked up by lists of values and matched here. A join with a list of rows
# reads all of a tenant's calls where the caller is confined to one: no join gets into a view that is a barrier.
async def _calls_at(conn: AsyncConnection[Any], places: Sequence[Place]) -> list[Call]:
    """The calls at these places."""
    if not places:
        return []
    wanted = {place.row() for place in places}
    values: dict[str, object] = {
        "nos": sorted({place.tenant_no for place in places}),
        "keys": [place.event_key for place in places],
        "times": sorted({place.occurred_at for place in places}),
        "first": min(place.occurred_at for place in places),
        "last": max(place.occurred_at for place in places),
    }
    sql = (
        f"SELECT {CALL_COLUMNS} FROM {CALL_FROM} WHERE e.occurred_at BETWEEN %(first)s AND %(last)s "
        "AND e.tenant_no = ANY(%(nos)s) AND e.occurred_at = ANY(%(times)s) AND e.event_key = ANY(%(keys)s)"
    )
    return [call for call in await _calls(conn, sql, values) if _place_of(call) in wanted]


async def _attempts(conn: AsyncConnection[Any], keys: Sequence[_Key]) -> dict[tuple[int, str], list[Call]]:
    """All calls of each request, by attempt."""
    found: dict[tuple[int, str], list[Call]] = {}
    named = [key for key in keys if key.request_id]
    if named:
        sql = (
            f"SELECT {CALL_COLUMNS} FROM {CALL_FROM} WHERE e.tenant_no = ANY(%(nos)s) "
            "AND e.request_id = ANY(%(ids)s) AND e.request_id <> ''"
        )
        values: dict[str, object] = {"nos": sorted({k.tenant_no for k in named}), "ids": [k.request_id for k in named]}
        mine = {key.request for key in named}
        for call in await _calls(conn, sql, values):
            if (call.tenant_no, call.request_id) in mine:
                found.setdefault((call.tenant_no, call.request_id), []).append(call)
    single = [Place(*key.order) for key in keys if not key.request_id]
    for call in await _calls_at(conn, single):
        found[call.tenant_no, f"\x00{call.event_key}"] = [call]
    return {request: sorted(calls, key=_by_attempt) for request, calls in found.items()}


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
        key = UUID(bytes=event_key(request_id))
        cursor = await conn.execute(
            f"SELECT occurred_at, tenant_no FROM event_identity WHERE {known} AND event_key = %s".encode(), (key,)
        )
        at = [Place(row[0], row[1], key) for row in await cursor.fetchall()]
        calls = [call for call in await _calls_at(conn, at) if call.event_id == call.request_id == request_id]
    return sorted(calls, key=_by_attempt)


async def _calls(conn: AsyncConnection[Any], sql: str, parameters: dict[str, object]) -> list[Call]:
    async with conn.cursor(row_factory=class_row(Call)) as cursor:
        await cursor.execute(sql.encode(), parameters, prepare=False)
        return await cursor.fetchall()
