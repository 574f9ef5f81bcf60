"""Budgets, and how much of them is used: what was spent in the window that is running now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from psycopg import AsyncConnection
from psycopg.rows import class_row

from pricing.money import PICO_PER_USD
from services.query.read.costs import read_costs
from services.query.read.edges import Buckets, bucket_start, local_buckets
from services.query.read.question import CostQuery, Granularity
from services.query.read.tenants import Tenant

BudgetWindow = Literal["daily", "weekly", "monthly"]
Status = Literal["ok", "warning", "exceeded"]
_GRANULARITY: dict[BudgetWindow, Granularity] = {"daily": "day", "weekly": "week", "monthly": "month"}
_UTC = ZoneInfo("UTC")
_COLUMNS = "budget_id, tenant_id, scope, budget_window, limit_pico_usd, thresholds, created_at"
WARNING_PERCENT, EXCEEDED_PERCENT = 80, 100
BUDGETS_MAX = 1_000
# Of all tenants together.
SNAPSHOT_BUDGETS_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Budget:
    """`scope` is {"agent_id" | "user_id" | "feature": value} or empty for the whole tenant; `tenant_id` is None where
    it is of all tenants together.
    """

    budget_id: UUID
    tenant_id: str | None
    scope: dict[str, str]
    budget_window: BudgetWindow
    limit_pico_usd: int
    thresholds: list[int]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class BudgetState:
    """A budget and what its running window, [window_start, resets_at), has cost."""

    budget: Budget
    spent_pico_usd: int
    window_start: datetime
    resets_at: datetime
    as_of: datetime | None

    @property
    def status(self) -> Status:
        return status_of(self.spent_pico_usd, self.budget.limit_pico_usd)

    @property
    def used_share(self) -> float:
        return self.spent_pico_usd / self.budget.limit_pico_usd


def status_of(spent_pico_usd: int, limit_pico_usd: int) -> Status:
    """`warning` from 80 %, `exceeded` from 100 %."""
    if spent_pico_usd * 100 >= limit_pico_usd * EXCEEDED_PERCENT:
        return "exceeded"
    return "warning" if spent_pico_usd * 100 >= limit_pico_usd * WARNING_PERCENT else "ok"


def running_window(window: BudgetWindow, zone: ZoneInfo, now: datetime) -> tuple[datetime, datetime]:
    """The window that `now` lies in: from local midnight, Monday or the 1st to the next."""
    granularity = _GRANULARITY[window]
    start = bucket_start(now, granularity, zone)
    ahead: Buckets = local_buckets(start, start.replace(year=start.year + 1, day=min(start.day, 28)), granularity, zone)
    return start, ahead.edges[1]


async def read_budgets(
    conn: AsyncConnection[Any],
    tenant_id: str | None,
    limit: int = BUDGETS_MAX,
    after: tuple[datetime, UUID] | None = None,
) -> list[Budget]:
    """Budgets of a tenant, or of all; oldest first, from the one after `after` on."""
    async with conn.cursor(row_factory=class_row(Budget)) as cursor:
        await cursor.execute(
            f"SELECT {_COLUMNS} FROM budget WHERE (%(tenant)s::text IS NULL OR tenant_id = %(tenant)s) "
            "AND (%(at)s::timestamptz IS NULL OR (created_at, budget_id) > (%(at)s, %(id)s::uuid)) "
            "ORDER BY created_at, budget_id LIMIT %(limit)s",
            {"tenant": tenant_id, "limit": limit, "at": after and after[0], "id": after and after[1]},
        )
        return await cursor.fetchall()


async def read_all_budget_states(conn: AsyncConnection[Any], now: datetime) -> list[BudgetState]:
    """Every budget of every tenant: one question for each zone, window and kind of scope, however many tenants."""
    budgets = await read_budgets(conn, None, SNAPSHOT_BUDGETS_MAX)
    tenants = await _tenants_of(conn, {budget.tenant_id for budget in budgets if budget.tenant_id is not None})
    kinds: dict[tuple[str, BudgetWindow, tuple[str, ...]], list[Budget]] = {}
    for budget in budgets:
        if budget.tenant_id is None:
            continue
        tenant = tenants[budget.tenant_id]
        kinds.setdefault((tenant.zone.key, budget.budget_window, tuple(sorted(budget.scope))), []).append(budget)
    states = await read_states_of_all(conn, [budget for budget in budgets if budget.tenant_id is None], now)
    for (zone, window, names), mine in kinds.items():
        start, end = running_window(window, ZoneInfo(zone), now)
        filters = tuple((name, tuple(dict.fromkeys(b.scope[name] for b in mine))) for name in names)
        asked = tuple(dict.fromkeys(tenants[b.tenant_id].tenant_no for b in mine if b.tenant_id is not None))
        query = CostQuery(
            asked, start, end, ZoneInfo(zone), group_by=("tenant_id", *names), filters=filters, measures=("cost_usd",),
            limit=SNAPSHOT_BUDGETS_MAX,
        )  # fmt: skip
        answer = await read_costs(conn, query)
        spent = {tuple(map(str, row.dimensions.values())): row.figures["cost_usd"] or 0 for row in answer.rows}
        for budget in mine:
            usd = spent.get((str(budget.tenant_id), *(budget.scope[name] for name in names)), 0)
            states.append(BudgetState(budget, int(usd * PICO_PER_USD), start, end, answer.data_through))
    return states


async def read_states_of_all(conn: AsyncConnection[Any], budgets: Sequence[Budget], now: datetime) -> list[BudgetState]:
    """What these budgets of all tenants together have used; their days are UTC's. One question for each window."""
    states: list[BudgetState] = []
    for budget_window in dict.fromkeys(budget.budget_window for budget in budgets):
        start, end = running_window(budget_window, _UTC, now)
        answer = await read_costs(conn, CostQuery(None, start, end, _UTC, measures=("cost_usd",)))
        spent = int(sum(row.figures["cost_usd"] or 0 for row in answer.rows) * PICO_PER_USD)
        states += [
            BudgetState(budget, spent, start, end, answer.data_through)
            for budget in budgets
            if budget.budget_window == budget_window
        ]
    return states


async def _tenants_of(conn: AsyncConnection[Any], tenant_ids: set[str]) -> dict[str, Tenant]:
    async with conn.cursor(row_factory=class_row(Tenant)) as cursor:
        await cursor.execute(
            "SELECT tenant_no, tenant_id, name, tz, created_at FROM tenant WHERE tenant_id = ANY(%s)",
            (sorted(tenant_ids),),
        )
        return {tenant.tenant_id: tenant for tenant in await cursor.fetchall()}


async def read_budget_states(
    conn: AsyncConnection[Any], tenant: Tenant, budgets: list[Budget], now: datetime
) -> list[BudgetState]:
    """What each of these budgets of `tenant` has used; one question for each window and kind of scope."""
    zone, states = tenant.zone, []
    kinds = dict.fromkeys((budget.budget_window, tuple(sorted(budget.scope))) for budget in budgets)
    for window, names in kinds:
        start, end = running_window(window, zone, now)
        mine = [b for b in budgets if (b.budget_window, tuple(sorted(b.scope))) == (window, names)]
        # Only the values that have a budget are asked for, so that none falls off a page.
        filters = tuple((name, tuple(dict.fromkeys(b.scope[name] for b in mine))) for name in names)
        query = CostQuery(
            (tenant.tenant_no,), start, end, zone, group_by=names, filters=filters, measures=("cost_usd",),
            limit=BUDGETS_MAX,
        )  # fmt: skip
        answer = await read_costs(conn, query)
        spent = {tuple(row.dimensions.values()): row.figures["cost_usd"] or 0 for row in answer.rows}
        for budget in mine:
            usd = spent.get(tuple(budget.scope[name] for name in names), 0)
            states.append(BudgetState(budget, int(usd * PICO_PER_USD), start, end, answer.data_through))
    return states
