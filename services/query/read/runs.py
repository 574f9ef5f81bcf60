"""Runs, and where in a run the money went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row

from services.query.read.recency import Stretch, looks, within
from services.query.read.sources import RAW_FROM
from services.query.read.statement import tenant_condition

_MICROSECOND = timedelta(microseconds=1)
# Deeper than this the rest of a path is one node: answers stay readable for machines with a limit on nesting.
TREE_DEPTH_MAX = 60
_COLUMNS = """r.run_id, r.tenant_no, t.tenant_id, (array_agg(r.agent_id ORDER BY r.started_at))[1] AS agent_id,
    min(r.started_at) AS started_at, max(r.ended_at) AS ended_at, sum(r.calls)::bigint AS calls,
    sum(r.billed_pico_usd + r.adjustment_pico_usd)::bigint AS cost_pico_usd,
    sum(r.unpriced_events)::bigint AS unpriced_events"""
_FROM = "run_base AS r JOIN tenant AS t ON t.tenant_no = r.tenant_no"
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


@dataclass(frozen=True, slots=True)
class RunPlace:
    """Where a run stands among all, newest first."""

    started_at: datetime
    tenant_no: int
    run_id: str


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Runs of these tenants (None: all) that started in [start, end), of one agent or of all."""

    tenants: tuple[int, ...] | None
    start: datetime
    end: datetime
    agent_id: str | None = None


async def read_runs(
    conn: AsyncConnection[Any], wanted: RunFilter, limit: int, after: RunPlace | None = None
) -> list[Run]:
    """Runs newest first, from the one after `after` on; only as much of the range is read as fills the limit."""
    end = wanted.end if after is None else min(wanted.end, after.started_at + _MICROSECOND)
    values = (("agent_id", wanted.agent_id),) if wanted.agent_id is not None else ()
    found: list[Run] = []
    if end <= wanted.start:
        return found
    async for look in looks(conn, wanted.tenants, wanted.start, end, values, limit):
        below = after
        while len(found) < limit:
            pieces = await _pieces_within(conn, wanted, look, limit, below)
            found += await _starting_with(conn, wanted, pieces)
            if len(pieces) < limit:
                break
            below = pieces[-1]
        if len(found) >= limit:
            break
    return found[:limit]


async def _pieces_within(
    conn: AsyncConnection[Any], wanted: RunFilter, look: Sequence[Stretch], limit: int, below: RunPlace | None
) -> list[RunPlace]:
    """The newest pieces of runs in these stretches."""
    wheres = ["r.started_at >= %(first)s", "r.started_at < %(last)s", *tenant_condition(wanted.tenants, "r.")]
    values: dict[str, object] = {"first": look[-1].start, "last": look[0].end}
    if len(look) > 1:
        wheres.append(f"({within(look, 'r.started_at', values)})")
    if wanted.agent_id is not None:
        wheres.append("r.agent_id = %(agent_id)s")
        values["agent_id"] = wanted.agent_id
    if below is not None:
        wheres.append("(r.started_at, r.tenant_no, r.run_id) < (%(at)s, %(no)s, %(id)s)")
        values |= {"at": below.started_at, "no": below.tenant_no, "id": below.run_id}
    sql = (
        f"SELECT DISTINCT r.started_at, r.tenant_no, r.run_id FROM run_base AS r WHERE {' AND '.join(wheres)} "
        f"ORDER BY r.started_at DESC, r.tenant_no DESC, r.run_id DESC LIMIT {int(limit)}"
    )
    async with conn.cursor(row_factory=class_row(RunPlace)) as cursor:
        await cursor.execute(sql.encode(), values, prepare=False)
        return await cursor.fetchall()


async def _starting_with(conn: AsyncConnection[Any], wanted: RunFilter, pieces: Sequence[RunPlace]) -> list[Run]:
    """The runs whose first piece is one of these, in their order; a later piece of a run is no start."""
    if not pieces:
        return []
    # Lists, not a join with a list: see `calls`.
    sql = f"SELECT {_COLUMNS} FROM {_FROM} WHERE r.tenant_no = ANY(%(nos)s) AND r.run_id = ANY(%(ids)s) {_GROUP}"
    values = {"nos": sorted({piece.tenant_no for piece in pieces}), "ids": sorted({piece.run_id for piece in pieces})}
    async with conn.cursor(row_factory=class_row(Run)) as cursor:
        await cursor.execute(sql.encode(), values, prepare=False)
        runs = {(run.started_at, run.tenant_no, run.run_id): run for run in await cursor.fetchall()}
    starts = (runs.get((piece.started_at, piece.tenant_no, piece.run_id)) for piece in pieces)
    return [run for run in starts if run is not None and wanted.agent_id in (None, run.agent_id)]


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
