"""The figures of the payroll view, all from one snapshot."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection

from services.contracts.agents import default_label
from services.query.pages.figures import Budget, Item, PayrollFigures
from services.query.pages.ranges import PageRange
from services.query.pages.reading import Source, compare, if_kept, read_labels, to_next_hour
from services.query.pages.scope import Tenant
from services.query.read.budgets import read_budget_states, read_budgets
from services.query.read.tenants import find_tenant


async def read_payroll(
    conn: AsyncConnection[Any], tenant: Tenant, shown: PageRange, read_at: datetime
) -> PayrollFigures:
    """Everything the page shows for one tenant."""
    source = Source(conn, (tenant.tenant_no,), tenant.zone)
    span, before = to_next_hour(shown.now, running=shown.running), shown.before
    labels = await read_labels(conn, (tenant.tenant_no,))
    now = await source.breakdown(span, ("agent_id", "feature", "provider", "model"))
    then = await if_kept(source.breakdown(before, ("agent_id",))) if before else None
    agents = compare(now.by("agent_id"), then.by("agent_id")) if then else now.by("agent_id")
    return PayrollFigures(
        shown=shown,
        tenant_id=tenant.tenant_id,
        read_at=read_at,
        data_through=now.data_through,
        total=now.total,
        before=then.total if then else None,
        agents=tuple(replace(a, label=labels.get(a.key, default_label(a.key))) for a in agents),
        providers=now.by("provider"),
        channels=await source.groups(span, "channel"),
        customers=await source.groups(span, "customer_id"),
        budgets=await _budgets(conn, tenant, read_at),
        features_of=_subs(now.by("agent_id", "feature")),
        main_model_of={agent: models[0] for agent, models in _subs(now.by("agent_id", "model")).items()},
    )


def _subs(items: tuple[Item, ...]) -> dict[str, tuple[str, ...]]:
    """For each agent the second dimension's values, dearest first as the query gave them."""
    found: dict[str, list[str]] = {}
    for item in items:
        found.setdefault(item.key, []).append(item.sub)
    return {key: tuple(values) for key, values in found.items()}


async def _budgets(conn: AsyncConnection[Any], tenant: Tenant, now: datetime) -> tuple[Budget, ...]:
    """Of each agent that has budgets the one nearest to exhaustion."""
    known = await find_tenant(conn, tenant.tenant_id)
    budgets = [budget for budget in await read_budgets(conn, tenant.tenant_id) if set(budget.scope) == {"agent_id"}]
    if known is None or not budgets:
        return ()
    nearest: dict[str, Budget] = {}
    for state in sorted(await read_budget_states(conn, known, budgets, now), key=lambda state: state.used_share):
        agent_id, limit = state.budget.scope["agent_id"], state.budget.limit_pico_usd
        window = state.budget.budget_window
        nearest[agent_id] = Budget(agent_id, window, limit, state.spent_pico_usd, state.window_start, state.resets_at)
    return tuple(
        sorted(nearest.values(), key=lambda budget: (-budget.spent_pico_usd / budget.limit_pico_usd, budget.agent_id))
    )
