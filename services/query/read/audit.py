"""The identities that make the figures trustworthy, asked live: every level says the same as the raw events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from services.contracts.dimensions import SUM_ROLLUPS
from services.query.read.sources import RAW_FROM, raw_quantities
from services.query.read.statement import tenant_condition

COMPARED = ("calls", "requests", "unpriced_events", "billed_pico_usd", "adjustment_pico_usd")
_UTC_DAY = "date_bin('1 day', {}, TIMESTAMPTZ '1970-01-01 00:00:00+00')"


@dataclass(frozen=True, slots=True)
class Difference:
    """A UTC day on which a level does not say what the raw events say; `waiting` where it is marked for refresh."""

    day: datetime
    level: str
    raw: dict[str, int]
    found: dict[str, int]
    waiting: bool


@dataclass(frozen=True, slots=True)
class Identity:
    """One equation: it holds, or these days are why not."""

    name: str
    holds: bool
    totals: dict[str, int]
    differences: tuple[Difference, ...]


async def read_levels(
    conn: AsyncConnection[Any], tenants: tuple[int, ...] | None, start: datetime, end: datetime
) -> list[Identity]:
    """raw = each level of each rollup, per UTC day of [start, end), both UTC midnights."""
    raw_sums = raw_quantities(adjusted=True)
    sums = ", ".join(f"{raw_sums[name]} AS {name}" for name in COMPARED)
    raw = await _days(conn, _select("e.occurred_at", sums, RAW_FROM, tenants, "e."), start, end)
    waiting = await _waiting_days(conn, start, end)
    identities = []
    for rollup in SUM_ROLLUPS:
        for level in rollup.levels:
            sums = ", ".join(f"sum({name}) AS {name}" for name in COMPARED)
            found = await _days(conn, _select("bucket", sums, rollup.view(level), tenants, ""), start, end)
            identities.append(_compare(rollup.view(level), raw, found, waiting))
    return identities


async def read_waiting(conn: AsyncConnection[Any]) -> list[datetime]:
    """15-minute buckets whose coarser levels wait for refresh."""
    cursor = await conn.execute("SELECT DISTINCT bucket FROM dirty_bucket ORDER BY 1 LIMIT 1000")
    return [row[0] for row in await cursor.fetchall()]


async def read_ledger(conn: AsyncConnection[Any]) -> list[dict[str, Any]]:
    """What each partition has had applied, and how far it is read."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT topic, kafka_partition AS partition, l.next_offset, p.end_offset, stream_through, counted, "
            "duplicate, dead_lettered, quarantined FROM ledger AS l LEFT JOIN partition_progress AS p "
            "USING (topic_id, kafka_partition) ORDER BY topic, kafka_partition LIMIT 1000"
        )
        return await cursor.fetchall()


def _select(time: str, sums: str, source: str, tenants: tuple[int, ...] | None, prefix: str) -> str:
    where = " AND ".join((f"{time} >= %(start)s AND {time} < %(end)s", *tenant_condition(tenants, prefix)))
    return f"SELECT {_UTC_DAY.format(time)} AS day, {sums} FROM {source} WHERE {where} GROUP BY 1"


async def _days(conn: AsyncConnection[Any], sql: str, start: datetime, end: datetime) -> dict[datetime, dict[str, int]]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(sql.encode(), {"start": start, "end": end}, prepare=False)
        return {row.pop("day"): {name: int(row[name]) for name in COMPARED} for row in await cursor.fetchall()}


async def _waiting_days(conn: AsyncConnection[Any], start: datetime, end: datetime) -> frozenset[datetime]:
    cursor = await conn.execute(
        f"SELECT DISTINCT {_UTC_DAY.format('bucket')} FROM dirty_bucket WHERE bucket >= %s AND bucket < %s".encode(),
        (start, end),
    )
    return frozenset(row[0] for row in await cursor.fetchall())


def _compare(
    level: str,
    raw: dict[datetime, dict[str, int]],
    found: dict[datetime, dict[str, int]],
    waiting: frozenset[datetime],
) -> Identity:
    nothing = dict.fromkeys(COMPARED, 0)
    differences = tuple(
        Difference(day, level, raw.get(day, nothing), found.get(day, nothing), day in waiting)
        for day in sorted({*raw, *found})
        if raw.get(day, nothing) != found.get(day, nothing)
    )
    totals = {name: sum(sums[name] for sums in found.values()) for name in COMPARED}
    return Identity(f"raw = {level}", all(one.waiting for one in differences), totals, differences)
