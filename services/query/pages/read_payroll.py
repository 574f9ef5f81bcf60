"""The figures of the payroll view, all from one snapshot."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from psycopg import AsyncConnection

from services.contracts.agents import default_label
from services.query.pages.figures import Budget, Item, PayrollFigures
from services.query.pages.ranges import PageRange, Span, local_midnight
from services.query.pages.reading import Source, read_labels, to_next_hour
from services.query.pages.scope import Tenant


async def read_payroll(
    conn: AsyncConnection[Any], tenant: Tenant, shown: PageRange, read_at: datetime
) -> PayrollFigures:
    """Everything the page shows for one tenant."""
    source = Source(conn, (tenant.tenant_no,), tenant.zone)
    span, before = to_next_hour(shown.now, running=shown.running), shown.before
    total, data_through = await source.total(span)
    labels = await read_labels(conn, (tenant.tenant_no,))
    agents = await source.compared(span, before, "agent_id")
    by_feature = await source.groups(span, "agent_id", sub="feature")
    by_model = await source.groups(span, "agent_id", sub="model")
    return PayrollFigures(
        shown=shown,
        tenant_id=tenant.tenant_id,
        read_at=read_at,
        data_through=data_through,
        total=total,
        before=(await source.total(before))[0] if before else None,
        agents=tuple(replace(a, label=labels.get(a.key, default_label(a.key))) for a in agents),
        providers=await source.groups(span, "provider"),
        channels=await source.groups(span, "channel"),
        customers=await source.groups(span, "customer_id"),
        budgets=await _budgets(conn, source, tenant, read_at),
        features_of=_subs(by_feature),
        main_model_of={agent: models[0] for agent, models in _subs(by_model).items()},
    )


def _subs(items: tuple[Item, ...]) -> dict[str, tuple[str, ...]]:
    """For each agent the second dimension's values, dearest first as the query gave them."""
    found: dict[str, list[str]] = {}
    for item in items:
        found.setdefault(item.key, []).append(item.sub)
    return {key: tuple(values) for key, values in found.items()}


async def _budgets(conn: AsyncConnection[Any], source: Source, tenant: Tenant, now: datetime) -> tuple[Budget, ...]:
    """Of each agent that has budgets the one nearest to exhaustion."""
    cursor = await conn.execute(
        "SELECT scope ->> 'agent_id', budget_window, limit_pico_usd FROM budget WHERE tenant_id = %s AND scope ? 'agent_id'",
        (tenant.tenant_id,),
    )
    nearest: dict[str, Budget] = {}
    for agent_id, window, limit_pico_usd in await cursor.fetchall():
        start, end = budget_window(window, now, tenant.zone)
        narrowed = replace(source, filters=(("agent_id", (agent_id,)),))
        spent, _ = await narrowed.total(to_next_hour(Span(start, now), running=True))
        budget = Budget(agent_id, window, limit_pico_usd, spent.cost_pico_usd, start, end)
        held = nearest.get(agent_id)
        if held is None or budget.spent_pico_usd * held.limit_pico_usd > held.spent_pico_usd * limit_pico_usd:
            nearest[agent_id] = budget
    return tuple(sorted(nearest.values(), key=lambda b: (-b.spent_pico_usd / b.limit_pico_usd, b.agent_id)))


def budget_window(window: str, now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Start and end of the running window: reset at local midnight, Monday, the 1st."""
    today = now.astimezone(zone).date()
    if window == "daily":
        first, after = today, today + timedelta(days=1)
    elif window == "weekly":
        first = today - timedelta(days=today.weekday())
        after = first + timedelta(days=7)
    else:
        first = today.replace(day=1)
        after = (first + timedelta(days=32)).replace(day=1)
    return local_midnight(first, zone).astimezone(UTC), local_midnight(after, zone).astimezone(UTC)
