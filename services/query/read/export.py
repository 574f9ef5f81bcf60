"""Calls one by one as lines of CSV, in constant memory: the database writes the lines, an hour at a time.

The first lines come at once, and no sort is larger than an hour.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from psycopg import AsyncConnection

from pricing.usage import COMPLETION_CLASSES, PROMPT_CLASSES
from services.query.read.calls import CallFilter
from services.query.read.costs import read_costs, read_store_state
from services.query.read.edges import BUCKETS_MAX
from services.query.read.first import read_first_moment
from services.query.read.question import CostQuery, NotKept
from services.query.read.sources import RAW_FROM, RAW_FROM_UNADJUSTED

# A spreadsheet takes a cell that begins so for a formula.
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
# Of the file, in order, as SQL over `e`, its tenant `t` and its corrections `a`.
_PROMPT = " + ".join(f"e.{name}" for name in PROMPT_CLASSES)
_COMPLETION = " + ".join(f"e.{name}" for name in COMPLETION_CLASSES)
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_BLOCK_BYTES: Final = 1 << 16
# For one hour's lines; who reads slower is cut off.
_HOUR_SECONDS_MAX: Final = 300


def safe_cell_sql(column: str) -> str:
    """Text that no spreadsheet takes for a formula; nothing for the empty text."""
    starts = ", ".join(f"chr({ord(start)})" for start in FORMULA_STARTS)
    return f"CASE WHEN left({column}, 1) IN ({starts}) THEN '''' || {column} ELSE nullif({column}, '') END"


def _columns(*, adjusted: bool) -> dict[str, str]:
    delta, healed = ("coalesce(a.delta_pico_usd, 0)", "a.healed IS TRUE") if adjusted else ("0", "false")
    cost = f"trim_scale((coalesce(e.cost_pico_usd, 0) + {delta})::numeric * 0.000000000001)"
    return {
        "date": "to_char(e.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"')",
        "organization": safe_cell_sql("t.tenant_id"),
        "user": safe_cell_sql("e.user_id"),
        "provider": safe_cell_sql("e.provider"),
        "model": safe_cell_sql("e.model"),
        "tier": safe_cell_sql("e.tier"),
        "prompt_tokens": _PROMPT,
        "completion_tokens": _COMPLETION,
        "total_tokens": f"{_PROMPT} + {_COMPLETION}",
        "cost_usd": f"CASE WHEN e.cost_pico_usd IS NOT NULL OR {healed} THEN {cost} END",
        "latency_ms": "e.latency_ms",
        "success": "CASE WHEN e.status = 'ok' THEN 'true' ELSE 'false' END",
    }


COLUMNS: Final = tuple(_columns(adjusted=False))


async def stream_csv(conn: AsyncConnection[Any], wanted: CallFilter, now: datetime) -> AsyncIterator[bytes]:
    """The lines of all calls as wanted, in order of time, some kilobytes at once.

    `conn` stays in its transaction until the end.
    """
    state = await read_store_state(conn, wanted.start, wanted.end)
    columns = ", ".join(_columns(adjusted=state.adjusted).values())
    source = RAW_FROM if state.adjusted else RAW_FROM_UNADJUSTED
    await conn.execute(f"SET LOCAL statement_timeout = {_HOUR_SECONDS_MAX * 1_000}".encode())
    for start, end in [hour async for hour in _hours(conn, wanted, now)]:
        where, values = CallFilter(wanted.tenants, start, end, wanted.values).where()
        sql = (
            f"COPY (SELECT {columns} FROM {source} JOIN tenant AS t USING (tenant_no) WHERE {where} "
            "ORDER BY e.occurred_at, e.event_key) TO STDOUT (FORMAT csv)"
        )
        block = bytearray()
        async with conn.cursor() as cursor, cursor.copy(sql.encode(), values) as copy:
            async for line in copy:
                block += line
                if len(block) >= _BLOCK_BYTES:
                    yield bytes(block)
                    block.clear()
        if block:
            yield bytes(block)


async def _hours(
    conn: AsyncConnection[Any], wanted: CallFilter, now: datetime
) -> AsyncIterator[tuple[datetime, datetime]]:
    """The hours of days that have calls."""
    first = await read_first_moment(conn, wanted.tenants)
    start, end = max(wanted.start, first or now), min(wanted.end, now + _DAY)
    if start >= end:
        return
    for day in await _days(conn, wanted.tenants, start, end):
        for hour in _steps(day, min(day + _DAY, end), _HOUR):
            yield hour


async def _days(
    conn: AsyncConnection[Any], tenants: tuple[int, ...] | None, start: datetime, end: datetime
) -> list[datetime]:
    """Where the days that have calls begin; all of them where nothing tells which."""
    asked = CostQuery(tenants, start, end, granularity="day", measures=("calls",), limit=BUCKETS_MAX)
    try:
        rows = (await read_costs(conn, asked, totals=False)).rows
    except NotKept:
        return [day for day, _ in _steps(start, end, _DAY)]
    return [max(row.bucket, start) for row in rows if row.bucket is not None and row.figures["calls"]]


def _steps(start: datetime, end: datetime, width: timedelta) -> Iterator[tuple[datetime, datetime]]:
    while start < end:
        yield start, min(start + width, end)
        start += width
