"""Runs, and where in a run the money went."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row

from services.query.read.sources import RAW_FROM
from services.query.read.statement import tenant_condition

# Partitions that may each hold a piece of one run.
_PIECES_MAX = 8
# Deeper than this the rest of a path is one node: answers stay readable for machines with a limit on nesting.
TREE_DEPTH_MAX = 60
_COLUMNS = """r.run_id, r.tenant_no, t.tenant_id, (array_agg(r.agent_id ORDER BY r.started_at))[1] AS agent_id,
    min(r.started_at) AS started_at, max(r.ended_at) AS ended_at, sum(r.calls)::bigint AS calls,
    sum(r.billed_pico_usd + r.adjustment_pico_usd)::bigint AS cost_pico_usd,
    sum(r.unpriced_events)::bigint AS unpriced_events"""
_FROM = "run_base AS r JOIN tenant AS t USING (tenant_no)"
_GROUP = "GROUP BY r.tenant_no, r.run_id, t.tenant_id"


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of an agent."""

    run_id: str
    tenant_no: int
    tenant_id: str
    agent_id: str
    started_at: datetime
    ended_at: datetime
    calls: int
    cost_pico_usd: int
    unpriced_events: int


@dataclass(slots=True)
class Node:
    """A section of a run with everything below it; `own_` is what lies in it and in none of its children."""

    name: str
    path: str
    calls: int = 0
    cost_pico_usd: int = 0
    errors: int = 0
    own_calls: int = 0
    own_cost_pico_usd: int = 0
    children: dict[str, Node] = field(default_factory=dict)

    def ordered(self) -> list[Node]:
        """Children, dearest first."""
        return sorted(self.children.values(), key=lambda node: (-node.cost_pico_usd, node.name))


@dataclass(frozen=True, slots=True)
class SectionSum:
    """What was spent at exactly one section path of a run."""

    section_path: str
    calls: int
    cost_pico_usd: int
    errors: int


async def read_runs(
    conn: AsyncConnection[Any],
    tenants: tuple[int, ...] | None,
    start: datetime,
    end: datetime,
    limit: int,
    offset: int = 0,
    agent_id: str | None = None,
) -> list[Run]:
    """Runs that started in [start, end), newest first."""
    wheres = ["started_at >= %(start)s", "started_at < %(end)s", *tenant_condition(tenants, "")]
    wheres += ["agent_id = %(agent_id)s"] if agent_id is not None else []
    pieces = (limit + offset) * _PIECES_MAX
    # The newest pieces name the runs, so that only these are summed.
    newest = (
        f"SELECT tenant_no, run_id FROM run_base WHERE {' AND '.join(wheres)} "
        f"ORDER BY started_at DESC LIMIT {int(pieces)}"
    )
    sql = (
        f"SELECT {_COLUMNS} FROM {_FROM} WHERE (tenant_no, run_id) IN ({newest}) {_GROUP} "
        f"ORDER BY min(r.started_at) DESC, r.run_id LIMIT {int(limit)} OFFSET {int(offset)}"
    )
    async with conn.cursor(row_factory=class_row(Run)) as cursor:
        await cursor.execute(sql.encode(), {"start": start, "end": end, "agent_id": agent_id}, prepare=False)
        return await cursor.fetchall()


async def read_run(conn: AsyncConnection[Any], tenants: tuple[int, ...] | None, run_id: str) -> list[Run]:
    """The runs of this id: one, or one for each tenant that has it."""
    wheres = tenant_condition(tenants, "r.") or ["r.tenant_no = ANY(ARRAY(SELECT tenant_no FROM tenant))"]
    where = " AND ".join((*wheres, "r.run_id = %(id)s AND r.run_id <> ''"))
    sql = f"SELECT {_COLUMNS} FROM {_FROM} WHERE {where} {_GROUP}"
    async with conn.cursor(row_factory=class_row(Run)) as cursor:
        await cursor.execute(sql.encode(), {"id": run_id}, prepare=False)
        return await cursor.fetchall()


async def read_tree(conn: AsyncConnection[Any], run: Run) -> Node:
    """The sections of a run, rolled up at each node; the root is the run."""
    sql = (
        "SELECT e.section_path, count(*) AS calls, count(*) FILTER (WHERE e.status <> 'ok') AS errors, "
        "sum(coalesce(e.cost_pico_usd, 0) + coalesce(a.delta_pico_usd, 0))::bigint AS cost_pico_usd "
        f"FROM {RAW_FROM} WHERE e.tenant_no = {int(run.tenant_no)} AND e.run_id = %(id)s AND e.run_id <> '' GROUP BY 1"
    )
    async with conn.cursor(row_factory=class_row(SectionSum)) as cursor:
        await cursor.execute(sql.encode(), {"id": run.run_id}, prepare=False)
        return build_tree(run.run_id, await cursor.fetchall())


def build_tree(run_id: str, sums: list[SectionSum]) -> Node:
    """Pure: every call counts at its own section and at all above it."""
    root = Node(run_id, "")
    for found in sums:
        node = root
        _count(node, found)
        for name in _segments(found.section_path):
            path = f"{node.path}/{name}" if node.path else name
            node = node.children.setdefault(name, Node(name, path))
            _count(node, found)
        node.own_calls += found.calls
        node.own_cost_pico_usd += found.cost_pico_usd
    return root


def _segments(path: str) -> list[str]:
    names = [name for name in path.split("/") if name]
    if len(names) > TREE_DEPTH_MAX:
        names = [*names[: TREE_DEPTH_MAX - 1], "/".join(names[TREE_DEPTH_MAX - 1 :])]
    return names


def _count(node: Node, found: SectionSum) -> None:
    node.calls += found.calls
    node.cost_pico_usd += found.cost_pico_usd
    node.errors += found.errors
