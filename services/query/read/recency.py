"""Where to look for the newest rows, so that only as much raw data is read as fills a page.

The last hours are looked at as they are. Past them a rollup says on which days and in which hours there is anything at
all: what was called long ago or seldom costs no look at what lies between.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from psycopg import AsyncConnection

from services.contracts.dimensions import answering_rollups
from services.query.read.costs import read_costs
from services.query.read.edges import BUCKETS_MAX
from services.query.read.question import CostQuery, Granularity, NotKept

_AT_FIRST: Final = (timedelta(hours=1), timedelta(hours=6))
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_CALLS: Final = ("calls",)
_DAYS_MAX: Final = BUCKETS_MAX - 10
# A look takes in so many calls as are wanted, then more and more.
_GROWTH: Final = 4

Values = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Stretch:
    """[start, end) holds at most `calls` of what is looked for."""

    start: datetime
    end: datetime
    calls: int = 0


async def looks(
    conn: AsyncConnection[Any],
    tenants: tuple[int, ...] | None,
    start: datetime,
    end: datetime,
    values: Values,
    wanted: int,
) -> AsyncIterator[list[Stretch]]:
    """Stretches of [start, end), newest first, some at once; together they hold every call with these values.

    Whoever has found enough stops asking.
    """
    for width in _AT_FIRST:
        if end - width <= start:
            yield [Stretch(start, end)]
            return
        yield [Stretch(end - width, end)]
        end -= width
    since = max(start, end - _DAYS_MAX * _DAY)
    query = CostQuery(tenants, since, end, measures=_CALLS, limit=BUCKETS_MAX)
    try:
        days = await _busy(conn, query, values, "day", _DAY)
    except NotKept:
        days = [Stretch(since, end)]
    for some in _batches(days, wanted):
        inside = CostQuery(tenants, some[-1].start, some[0].end, measures=_CALLS, limit=BUCKETS_MAX)
        hours = await _busy(conn, inside, values, "hour", _HOUR) if _fits_hours(inside) else some
        for look in _batches(hours, wanted):
            yield _joined(look)
    if start < since:
        yield [Stretch(start, since)]


def _fits_hours(query: CostQuery) -> bool:
    return (query.end - query.start) / _HOUR < BUCKETS_MAX - 1


async def _busy(
    conn: AsyncConnection[Any], query: CostQuery, values: Values, granularity: Granularity, width: timedelta
) -> list[Stretch]:
    """Where calls are, newest first. Of values that no rollup holds together, those that are held alone decide: there
    can't be more calls with all of them than with one."""
    known = [(values,)] if answering_rollups((name for name, _ in values), _CALLS) else [((one,),) for one in values]
    found: list[Stretch] | None = None
    for (some,) in known:
        filters = tuple((name, (value,)) for name, value in some)
        asked = CostQuery(
            query.tenants, query.start, query.end, granularity=granularity, filters=filters, measures=_CALLS,
            limit=query.limit,
        )  # fmt: skip
        rows = (await read_costs(conn, asked, totals=False)).rows
        stretches = [
            Stretch(max(row.bucket, query.start), min(row.bucket + width, query.end), int(row.figures["calls"] or 0))
            for row in rows
            if row.bucket is not None and row.figures["calls"]
        ]
        if found is None or _calls(stretches) < _calls(found):
            found = stretches
    return sorted(found or [], key=lambda stretch: stretch.start, reverse=True)


def _calls(stretches: Iterable[Stretch]) -> int:
    return sum(stretch.calls for stretch in stretches)


def _batches(stretches: list[Stretch], wanted: int) -> list[list[Stretch]]:
    """In order, as many at once as hold what is wanted, then _GROWTH times as much."""
    batches: list[list[Stretch]] = []
    batch: list[Stretch] = []
    for stretch in stretches:
        batch.append(stretch)
        if _calls(batch) >= wanted:
            batches.append(batch)
            batch, wanted = [], wanted * _GROWTH
    return [*batches, batch] if batch else batches


def _joined(stretches: list[Stretch]) -> list[Stretch]:
    """Neighbours as one; still newest first."""
    out: list[Stretch] = []
    for stretch in stretches:
        if out and out[-1].start == stretch.end:
            out[-1] = Stretch(stretch.start, out[-1].end, out[-1].calls + stretch.calls)
        else:
            out.append(stretch)
    return out


def within(stretches: Sequence[Stretch], column: str, values: dict[str, object]) -> str:
    """The condition that `column` lies in one of these, spelled out; its parameters are added to `values`."""
    parts = []
    for number, stretch in enumerate(stretches):
        values |= {f"a{number}": stretch.start, f"b{number}": stretch.end}
        parts.append(f"{column} >= %(a{number})s AND {column} < %(b{number})s")
    return " OR ".join(parts)
