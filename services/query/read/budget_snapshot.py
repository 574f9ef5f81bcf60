"""All budgets and what is used of them, kept in this process so that asking before a call costs no query.

While anybody asks it is read again before a second is over, by one task for all who ask; nobody is answered from one
that is older than 2 seconds. While nobody asks nothing is read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg_pool import AsyncConnectionPool

from services.query.read.budgets import BudgetState, read_all_budget_states
from services.query.read.session import reading

FRESH_SECONDS = 0.7
# With what a refresh under way takes, an answer is at most 2 s old.
STALE_SECONDS = 1.8


@dataclass(slots=True)
class BudgetSnapshot:
    """`clock` is monotonic seconds. For one event loop."""

    clock: Callable[[], float] = time.monotonic
    # Tenants that are known to be there though they have no budget; a tenant never goes.
    tenants: set[str] = field(default_factory=set)
    _states: Mapping[str | None, list[BudgetState]] = field(default_factory=dict)
    _read_at: float = float("-inf")
    _refreshing: asyncio.Task[None] | None = None
    # Counts what made it out of date: a refresh that began before a change doesn't have it.
    _changes: int = 0

    async def states(self, pool: AsyncConnectionPool[Any], now: datetime) -> Mapping[str | None, list[BudgetState]]:
        """By tenant, None for those of all together. Raises what the pool and the database raise, when there is nothing
        fresh enough to answer from.
        """
        age = self.clock() - self._read_at
        if age >= FRESH_SECONDS and self._refreshing is None:
            self._refreshing = asyncio.create_task(self._refresh(pool, now))
            # Fetched, so that a failure nobody waits for is not reported as lost.
            self._refreshing.add_done_callback(lambda task: task.cancelled() or task.exception())
        if age >= STALE_SECONDS and self._refreshing is not None:
            await asyncio.shield(self._refreshing)
            if self.clock() - self._read_at >= STALE_SECONDS:
                # A change came while it was read.
                return await self.states(pool, now)
        return self._states

    def forget(self) -> None:
        """A budget was changed here: the next to ask waits for a new one."""
        self._changes += 1
        self._read_at = float("-inf")

    async def _refresh(self, pool: AsyncConnectionPool[Any], now: datetime) -> None:
        began, changes = self.clock(), self._changes
        try:
            # For all who will ask, whoever is the first.
            async with reading(pool, of_all=True) as conn:
                found = await read_all_budget_states(conn, now)
            states: dict[str | None, list[BudgetState]] = {}
            for state in found:
                states.setdefault(state.budget.tenant_id, []).append(state)
            self._states = states
            self._read_at = began if changes == self._changes else float("-inf")
        finally:
            self._refreshing = None
