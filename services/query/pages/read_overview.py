"""The figures of the overview, all from one snapshot."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection

from services.contracts.agents import default_label
from services.query.pages.figures import Item, OverviewFigures
from services.query.pages.ranges import PageRange, Span, month_start
from services.query.pages.reading import Source, compare, count_runs, if_kept, last_72_hours, read_labels, to_next_hour
from services.query.pages.scope import Scope

_DIMENSIONS = ("feature", "agent_id", "provider", "model")
# What the customer rollup knows; narrowed by anything else, customers could only come from raw events.
_CUSTOMER_FILTERS = {"model"}


async def read_overview(
    conn: AsyncConnection[Any],
    scope: Scope,
    shown: PageRange,
    filters: tuple[tuple[str, str], ...],
    read_at: datetime,
    oldest: datetime | None,
) -> OverviewFigures:
    """Everything the page shows for `scope` in `shown`."""
    source = Source(conn, scope.numbers, scope.zone, tuple((name, (value,)) for name, value in filters))
    span, before = to_next_hour(shown.now, running=shown.running), shown.before
    all_tenants = scope.tenant is None and len(scope.readable) > 1
    dimensions = (*_DIMENSIONS, "tenant_id") if all_tenants else _DIMENSIONS
    now = await source.breakdown(span, dimensions)
    then = await if_kept(source.breakdown(before, dimensions)) if before else None

    def compared(dimension: str) -> tuple[Item, ...]:
        return compare(now.by(dimension), then.by(dimension)) if then else now.by(dimension)

    buckets, points = await source.series(span, shown.granularity, "provider")
    with_customers = scope.tenant is not None and {name for name, _ in filters} <= _CUSTOMER_FILTERS
    agent = dict(filters).get("agent_id")
    _, hours = await source.series(last_72_hours(read_at), "hour", None)
    days = await _days_of_month(source, read_at)
    return OverviewFigures(
        shown=shown,
        tenant_id=scope.tenant_id,
        read_at=read_at,
        data_through=now.data_through,
        has_events=oldest is not None,
        total=now.total,
        before=then.total if then else None,
        runs=await count_runs(conn, span, scope.numbers, agent),
        runs_before=await count_runs(conn, before, scope.numbers, agent) if before else None,
        month_pico_usd=sum(days),
        today_pico_usd=days[-1] if days else 0,
        buckets=buckets,
        series=points,
        providers=now.by("provider"),
        models=now.by("model", "provider"),
        agents=_named(compared("agent_id"), await read_labels(conn, scope.numbers)),
        tenants=compared("tenant_id") if all_tenants else (),
        features=compared("feature"),
        customers=await source.groups(span, "customer_id") if with_customers else (),
        hours=hours,
        filters=filters,
    )


async def _days_of_month(source: Source, read_at: datetime) -> tuple[int, ...]:
    """What each local day of the running month cost, today last."""
    month = Span(month_start(read_at, source.zone), read_at)
    _, days = await source.series(to_next_hour(month, running=True), "day", None)
    return tuple(day.cost_pico_usd for day in days)


def _named(agents: tuple[Item, ...], labels: dict[str, str]) -> tuple[Item, ...]:
    return tuple(replace(agent, label=labels.get(agent.key, default_label(agent.key))) for agent in agents)
