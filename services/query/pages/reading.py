"""Reads the figures of a page: a handful of cost queries from one snapshot, and what the rollups don't know."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from psycopg import AsyncConnection

from pricing.money import parse_usd
from services.query.pages.figures import Item, Point, Sums, add
from services.query.pages.ranges import Granularity, Span
from services.query.pages.scope import Tenant, make_tenant
from services.query.read.costs import read_costs
from services.query.read.question import CostAnswer, CostQuery, Figure, NotKept
from services.query.read.statement import tenant_condition

Filters = tuple[tuple[str, tuple[str, ...]], ...]

FULL = (
    "cost_usd",
    "calls",
    "requests",
    "errors",
    "prompt_tokens",
    "completion_tokens",
    "wasted_cost_usd",
    "latency_ms_avg",
    "unpriced_events",
)
NARROW = (
    "cost_usd",
    "calls",
    "requests",
    "prompt_tokens",
    "completion_tokens",
    "unpriced_events",
    "wasted_cost_usd",
    "errors",
)
GROUPS_MAX = 200
COMBINATIONS_MAX = 5_000


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Sums by combinations of dimensions; `alone` by each dimension where there are too many combinations."""

    total: Sums
    data_through: datetime | None
    rows: tuple[tuple[dict[str, str], Sums], ...]
    alone: dict[str, tuple[Item, ...]] = field(default_factory=dict)

    def by(self, dimension: str, sub: str | None = None) -> tuple[Item, ...]:
        """One item per value (and value of `sub`), dearest first."""
        if self.alone:
            return self.alone[dimension]
        found: dict[tuple[str, str], Sums] = {}
        for values, sums in self.rows:
            key = (values[dimension], values[sub] if sub else "")
            found[key] = add(found[key], sums) if key in found else sums
        items = (Item(key, sums, sub=under) for (key, under), sums in found.items())
        return tuple(sorted(items, key=lambda item: (-item.sums.cost_pico_usd, -item.sums.calls, item.key, item.sub)))


_Read = TypeVar("_Read")


async def if_kept(figures: Awaitable[_Read]) -> _Read | None:
    """Figures of an earlier period; None, so that nothing is compared, where retention let go what would tell them."""
    try:
        return await figures
    except NotKept:
        return None


def compare(items: tuple[Item, ...], earlier_items: tuple[Item, ...]) -> tuple[Item, ...]:
    """Each item with what it was before; those that are gone stay, with nothing now."""
    earlier = {item.key: item.sums for item in earlier_items}
    shown = tuple(Item(i.key, i.sums, earlier.pop(i.key, Sums()), i.label, i.sub) for i in items)
    return (*shown, *(Item(key, Sums(), sums) for key, sums in earlier.items()))


@dataclass(frozen=True, slots=True)
class Source:
    """A connection in one snapshot, and whom it is asked for. `tenants` None is everyone."""

    conn: AsyncConnection[Any]
    tenants: tuple[int, ...] | None
    zone: ZoneInfo
    filters: Filters = ()

    async def _ask(
        self,
        span: Span,
        group_by: tuple[str, ...],
        measures: tuple[str, ...],
        granularity: Granularity | None,
        limit: int,
        *,
        totals: bool = True,
    ) -> CostAnswer:
        query = CostQuery(
            tenants=self.tenants,
            start=span.start,
            end=span.end,
            zone=self.zone,
            granularity=granularity,
            group_by=group_by,
            filters=self.filters,
            measures=measures,
            limit=limit,
        )
        return await read_costs(self.conn, query, totals=totals)

    async def total(self, span: Span) -> tuple[Sums, datetime | None]:
        """Everything in the span, and up to when the stream is counted."""
        answer = await self._ask(span, (), FULL, None, 1)
        sums = _sums(answer.totals, answer.unpriced_events, answer.late_events)
        return sums, answer.data_through

    async def groups(
        self, span: Span, dimension: str, *, sub: str | None = None, measures: tuple[str, ...] = NARROW
    ) -> tuple[Item, ...]:
        """One item per value of `dimension` (and of `sub`), dearest first."""
        group_by = (dimension,) if sub is None else (dimension, sub)
        answer = await self._ask(span, group_by, measures, None, GROUPS_MAX, totals=False)
        return tuple(
            Item(row.dimensions[dimension], _sums(row.figures), sub=row.dimensions[sub] if sub else "")
            for row in answer.rows
        )

    async def compared(
        self, now: Span, before: Span | None, dimension: str, *, measures: tuple[str, ...] = NARROW
    ) -> tuple[Item, ...]:
        """Groups with what each was in the period before; those that are gone stay, with nothing now."""
        items = await self.groups(now, dimension, measures=measures)
        earlier = await if_kept(self.groups(before, dimension)) if before is not None else None
        return items if earlier is None else compare(items, earlier)

    async def breakdown(self, span: Span, dimensions: tuple[str, ...]) -> Breakdown:
        """The span's sums by every combination of the dimensions: one question instead of one for each."""
        answer = await self._ask(span, dimensions, FULL, None, COMBINATIONS_MAX)
        total = _sums(answer.totals, answer.unpriced_events, answer.late_events)
        if answer.next_offset is None:
            rows = tuple((row.dimensions, _sums(row.figures)) for row in answer.rows)
            return Breakdown(total, answer.data_through, rows)
        # More than fit: each dimension by itself, which is exact too.
        alone = {name: await self.groups(span, name) for name in dimensions}
        return Breakdown(total, answer.data_through, (), alone)

    async def series(
        self, span: Span, granularity: Granularity, dimension: str | None
    ) -> tuple[tuple[datetime, ...], tuple[Point, ...]]:
        """Every bucket of the span, and the points that are not empty."""
        group_by = (dimension,) if dimension else ()
        answer = await self._ask(span, group_by, NARROW, granularity, 20_000, totals=False)
        buckets = list(dict.fromkeys(_utc(row.bucket) for row in answer.rows))
        if not buckets:
            _, whole = (
                await Source(self.conn, self.tenants, self.zone).series(span, granularity, None)
                if dimension
                else ((), ())
            )
            buckets = [point.bucket for point in whole]
        points = (
            Point(_utc(row.bucket), row.dimensions.get(dimension or "", ""), *_point(row.figures))
            for row in answer.rows
        )
        return tuple(buckets), tuple(p for p in points if p.calls or p.cost_pico_usd or not dimension)


def _utc(at: datetime | None) -> datetime:
    assert at is not None, "a query with a granularity names each row's bucket"
    return at.astimezone(UTC)


def _pico(figure: Figure) -> int:
    return parse_usd(format(figure, "f")) if isinstance(figure, Decimal) else int(figure or 0)


def _point(figures: dict[str, Figure]) -> tuple[int, int, int, int]:
    return (
        _pico(figures["cost_usd"]),
        int(figures["calls"] or 0),
        int(figures["prompt_tokens"] or 0),
        int(figures["completion_tokens"] or 0),
    )


def _sums(figures: dict[str, Figure], unpriced_events: int = 0, late_events: int = 0) -> Sums:
    latency = figures.get("latency_ms_avg")
    return Sums(
        cost_pico_usd=_pico(figures["cost_usd"]),
        calls=int(figures["calls"] or 0),
        requests=int(figures.get("requests") or 0),
        errors=int(figures.get("errors") or 0),
        prompt_tokens=int(figures["prompt_tokens"] or 0),
        completion_tokens=int(figures["completion_tokens"] or 0),
        wasted_pico_usd=_pico(figures.get("wasted_cost_usd")),
        unpriced_events=unpriced_events or int(figures.get("unpriced_events") or 0),
        late_events=late_events,
        latency_ms_avg=Decimal(str(latency)) if latency is not None else None,
    )


async def read_tenants(conn: AsyncConnection[Any]) -> tuple[Tenant, ...]:
    cursor = await conn.execute("SELECT tenant_no, tenant_id, name, tz FROM tenant ORDER BY tenant_id")
    return tuple(make_tenant(*row) for row in await cursor.fetchall())


_STARTED = """started_at >= %(start)s AND started_at < %(end)s AND (%(agent)s::text IS NULL OR agent_id = %(agent)s)"""
# A run has a piece for each partition that its calls came by: of a tenant that has one partition a piece is a run.
_WHOLE = f"SELECT count(*) FROM run_base WHERE {_STARTED} AND tenant_no <> ALL(%(spread)s::integer[]) AND {{mine}}"
_PIECES = f"""
SELECT count(*) FROM (
    SELECT DISTINCT tenant_no, run_id FROM run_base AS r WHERE {_STARTED} AND tenant_no = ANY(%(spread)s::integer[])
      AND NOT EXISTS (SELECT FROM run_base AS e WHERE e.tenant_no = r.tenant_no AND e.run_id = r.run_id
                      AND e.started_at < %(start)s)) AS started
"""
_SPREAD = """
SELECT tenant_no FROM tenant AS t WHERE (SELECT min(kafka_partition) FROM run_base AS r WHERE r.tenant_no = t.tenant_no)
    <> (SELECT max(kafka_partition) FROM run_base AS r WHERE r.tenant_no = t.tenant_no)
"""
# For one tenant, so that a view that shows no other finds it by the index as well.
_IS_SPREAD = """
WITH one AS (SELECT kafka_partition AS no FROM run_base WHERE tenant_no = %(tenant)s LIMIT 1)
SELECT EXISTS (SELECT FROM run_base WHERE tenant_no = %(tenant)s AND kafka_partition < (SELECT no FROM one))
    OR EXISTS (SELECT FROM run_base WHERE tenant_no = %(tenant)s AND kafka_partition > (SELECT no FROM one))
"""


async def count_runs(
    conn: AsyncConnection[Any], span: Span, tenants: tuple[int, ...] | None, agent_id: str | None
) -> int:
    """Runs that started in the span."""
    spread = await _spread_tenants(conn, tenants)
    values: dict[str, object] = {"start": span.start, "end": span.end, "agent": agent_id, "spread": spread}
    whole = _WHOLE.format(mine=" AND ".join(tenant_condition(tenants, "") or ["true"]))
    counted = await _count(conn, whole, values)
    return counted + (await _count(conn, _PIECES, values) if spread else 0)


async def _spread_tenants(conn: AsyncConnection[Any], tenants: tuple[int, ...] | None) -> list[int]:
    """Those whose runs may lie in several pieces."""
    if tenants is None:
        return [row[0] for row in await (await conn.execute(_SPREAD)).fetchall()]
    return [no for no in tenants if await _count(conn, _IS_SPREAD, {"tenant": no})]


async def _count(conn: AsyncConnection[Any], sql: str, values: dict[str, object]) -> int:
    cursor = await conn.execute(sql.encode(), values, prepare=False)
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def read_labels(conn: AsyncConnection[Any], tenants: tuple[int, ...] | None) -> dict[str, str]:
    """Names that an operator gave to agents, of one tenant; across tenants an id has no single name."""
    if tenants is None or len(tenants) != 1:
        return {}
    cursor = await conn.execute("SELECT agent_id, label FROM agent_label WHERE tenant_no = %s", tenants)
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def read_mark(conn: AsyncConnection[Any]) -> str:
    """Changes whenever a figure can have changed: what is applied, corrected, or told."""
    cursor = await conn.execute(
        "SELECT (SELECT sum(next_offset) FROM ledger), (SELECT max(adjustment_id) FROM cost_adjustment), "
        "(SELECT max(fired_at) FROM alert), (SELECT count(*) FROM alert WHERE state = 'firing'), "
        "(SELECT max(created_at) FROM budget), (SELECT count(*) FROM budget)"
    )
    return repr(await cursor.fetchone())


async def count_firing(conn: AsyncConnection[Any], tenant_ids: Sequence[str] | None) -> int:
    """Alerts that fire now, for the badge in the rail. `tenant_ids` None is everyone's."""
    cursor = await conn.execute(
        "SELECT count(*) FROM alert WHERE state = 'firing' AND fired_at > now() - interval '7 days'"
        " AND (%(ids)s::text[] IS NULL OR tenant_id = ANY(%(ids)s))",
        {"ids": list(tenant_ids) if tenant_ids is not None else None},
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


def last_72_hours(now: datetime) -> Span:
    """Ends with the running hour."""
    end = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return Span(end - timedelta(hours=72), end)


def to_next_hour(span: Span, *, running: bool) -> Span:
    """A running span up to the end of its hour: whole buckets are read from rollups, and the future is empty."""
    if not running:
        return span
    return Span(span.start, span.end.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1))
