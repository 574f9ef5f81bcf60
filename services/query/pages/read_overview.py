"""The figures of the overview, all from one snapshot."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection

from services.contracts.agents import default_label
from services.query.pages.figures import Item, OverviewFigures
from services.query.pages.ranges import PageRange, Span, month_start, today_start
from services.query.pages.reading import Source, count_runs, last_72_hours, read_labels, to_next_hour
from services.query.pages.scope import Scope

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
    total, data_through = await source.total(span)
    buckets, points = await source.series(span, shown.granularity, "provider")
    providers = await source.groups(span, "provider")
    models = await source.groups(span, "model", sub="provider")
    agents = await source.compared(span, before, "agent_id")
    with_customers = scope.tenant is not None and {name for name, _ in filters} <= _CUSTOMER_FILTERS
    agent = dict(filters).get("agent_id")
    _, hours = await source.series(last_72_hours(read_at), "hour", None)
    return OverviewFigures(
        shown=shown,
        tenant_id=scope.tenant_id,
        read_at=read_at,
        data_through=data_through,
        has_events=oldest is not None,
        total=total,
        before=(await source.total(before))[0] if before else None,
        runs=await count_runs(conn, span, scope.numbers, agent),
        runs_before=await count_runs(conn, before, scope.numbers, agent) if before else None,
        month_pico_usd=await _spent_since(source, month_start(read_at, scope.zone), read_at),
        today_pico_usd=await _spent_since(source, today_start(read_at, scope.zone), read_at),
        buckets=buckets,
        series=points,
        providers=providers,
        models=models,
        agents=_named(agents, await read_labels(conn, scope.numbers)),
        tenants=await source.compared(span, before, "tenant_id")
        if scope.tenant is None and len(scope.readable) > 1
        else (),
        features=await source.compared(span, before, "feature"),
        customers=await source.groups(span, "customer_id") if with_customers else (),
        hours=hours,
        filters=filters,
    )


async def _spent_since(source: Source, start: datetime, read_at: datetime) -> int:
    return (await source.total(to_next_hour(Span(start, read_at), running=True)))[0].cost_pico_usd


def _named(agents: tuple[Item, ...], labels: dict[str, str]) -> tuple[Item, ...]:
    return tuple(replace(agent, label=labels.get(agent.key, default_label(agent.key))) for agent in agents)
