"""The figures of the overview, all from one snapshot."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection

from services.contracts.agents import default_label
from services.query.pages.figures import Item, OverviewFigures, Point
from services.query.pages.ranges import PageRange, Span, month_start
from services.query.pages.reading import (
    Breakdown,
    Source,
    compare,
    count_runs,
    if_kept,
    last_72_hours,
    read_labels,
    to_next_hour,
)
from services.query.pages.scope import Scope
from services.query.read.session import at_once

_DIMENSIONS = ("feature", "agent_id", "provider", "model")
# What the customer rollup knows; narrowed by anything else, customers could only come from raw events.
_CUSTOMER_FILTERS = {"model"}


async def read_overview(
    conn: AsyncConnection[Any],
    other: AsyncConnection[Any],
    scope: Scope,
    shown: PageRange,
    filters: tuple[tuple[str, str], ...],
    read_at: datetime,
    oldest: datetime | None,
) -> OverviewFigures:
    """Everything the page shows for `scope` in `shown`. `other` is a connection beside `conn`."""
    narrowed = tuple((name, (value,)) for name, value in filters)
    source, second = (Source(one, scope.numbers, scope.zone, narrowed) for one in (conn, other))
    span, before = to_next_hour(shown.now, running=shown.running), shown.before
    all_tenants = scope.tenant is None and len(scope.readable) > 1
    dimensions = (*_DIMENSIONS, "tenant_id") if all_tenants else _DIMENSIONS
    agent = dict(filters).get("agent_id")
    with_customers = scope.tenant is not None and {name for name, _ in filters} <= _CUSTOMER_FILTERS
    (now, (buckets, points), days, runs), (then, (_, hours), customers, runs_before) = await at_once(
        _shown(source, shown, span, dimensions, agent, read_at),
        _beside(second, before, dimensions, agent, read_at, customers_in=span if with_customers else None),
    )

    def compared(dimension: str) -> tuple[Item, ...]:
        return compare(now.by(dimension), then.by(dimension)) if then else now.by(dimension)

    return OverviewFigures(
        shown=shown,
        tenant_id=scope.tenant_id,
        read_at=read_at,
        data_through=now.data_through,
        has_events=oldest is not None,
        total=now.total,
        before=then.total if then else None,
        runs=runs,
        runs_before=runs_before,
        month_pico_usd=sum(days),
        today_pico_usd=days[-1] if days else 0,
        buckets=buckets,
        series=points,
        providers=now.by("provider"),
        models=now.by("model", "provider"),
        agents=_named(compared("agent_id"), await read_labels(conn, scope.numbers)),
        tenants=compared("tenant_id") if all_tenants else (),
        features=compared("feature"),
        customers=customers,
        hours=hours,
        filters=filters,
    )


_Series = tuple[tuple[datetime, ...], tuple[Point, ...]]


async def _shown(
    source: Source, shown: PageRange, span: Span, dimensions: tuple[str, ...], agent: str | None, read_at: datetime
) -> tuple[Breakdown, _Series, tuple[int, ...], int]:
    """What the page is about: the period's sums, its buckets, the days of the month, how many runs began in it."""
    return (
        await source.breakdown(span, dimensions),
        await source.series(span, shown.granularity, "provider"),
        await _days_of_month(source, read_at),
        await count_runs(source.conn, span, source.tenants, agent),
    )


async def _beside(
    source: Source,
    before: Span | None,
    dimensions: tuple[str, ...],
    agent: str | None,
    read_at: datetime,
    *,
    customers_in: Span | None,
) -> tuple[Breakdown | None, _Series, tuple[Item, ...], int | None]:
    """What it is compared with, and what stands beside it."""
    return (
        await if_kept(source.breakdown(before, dimensions)) if before else None,
        await source.series(last_72_hours(read_at), "hour", None),
        await source.groups(customers_in, "customer_id") if customers_in else (),
        await count_runs(source.conn, before, source.tenants, agent) if before else None,
    )


async def _days_of_month(source: Source, read_at: datetime) -> tuple[int, ...]:
    """What each local day of the running month cost, today last."""
    month = Span(month_start(read_at, source.zone), read_at)
    _, days = await source.series(to_next_hour(month, running=True), "day", None)
    return tuple(day.cost_pico_usd for day in days)


def _named(agents: tuple[Item, ...], labels: dict[str, str]) -> tuple[Item, ...]:
    return tuple(replace(agent, label=labels.get(agent.key, default_label(agent.key))) for agent in agents)
