"""Reads the answer to a CostQuery: plans, runs, names the buckets, fills the empty ones with zeros."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from pricing.money import usd_decimal
from services.contracts.dimensions import MEASURES, Measure
from services.query.read.edges import Buckets
from services.query.read.freshness import read_data_through
from services.query.read.planner import plan, plan_latency
from services.query.read.question import CostAnswer, CostQuery, CostRow, Figure, QueryRefused
from services.query.read.sources import LATENCY_BUCKET, percentile_ms
from services.query.read.statement import SLOT, Statement

# Most groups (or groups by bucket) that are fetched to be put in order or filled up here.
GROUPS_MAX = 20_000
FILLED_ROWS_MAX = 100_000
_DAY = timedelta(days=1)

Key = tuple[object, ...]
Sums = dict[str, int]
Histogram = list[tuple[int, int]]


async def read_costs(conn: AsyncConnection[Any], query: CostQuery, *, totals: bool = True) -> CostAnswer:
    """The answer, all from one snapshot: `conn` must be in a transaction of `services.query.read.session.reading`.

    `totals=False` is for who needs the rows alone: totals are then empty, unpriced and late events 0, unless the rows
    tell them anyway. Raises QueryRefused where no source answers within bounds.
    """
    state = await read_store_state(conn, query.start, query.end)
    rows: Sequence[CostRow]
    summed: Sums | None = None
    histogram: Histogram = []
    next_offset = None
    if query.granularity is not None or query.group_by:
        rows, next_offset, summed = await _rows(conn, query, state)
    if summed is None and (totals or not query.group_by):
        whole = replace(query, group_by=(), granularity=None, order_by=None, limit=1, offset=0)
        totals_plan = plan(whole, state.dirty, adjusted=state.adjusted, floors=state.floors)
        (found,) = await _fetch(conn, totals_plan.statement)
        summed = _sums(found, totals_plan.quantities)
        histogram = (await _histograms(conn, whole, state)).get((), [])
    figures = {} if summed is None else _figures(query.measures, summed, histogram)
    if query.granularity is None and not query.group_by:
        # The one row is the totals; an empty range has it too.
        rows = [CostRow({}, None, figures)]
    counted = summed or {}
    return CostAnswer(
        rows=tuple(rows),
        totals=figures,
        data_through=await read_data_through(conn),
        unpriced_events=counted.get("unpriced_events", 0),
        late_events=counted.get("late_events", 0),
        next_offset=next_offset,
    )


@dataclass(frozen=True, slots=True)
class StoreState:
    """What the planner has to know of the store: the 15-minute buckets that wait for refresh and can matter, whether
    there are adjustments, from when on relations are complete."""

    dirty: tuple[datetime, ...]
    adjusted: bool
    floors: dict[str, datetime]


_STATE = """
SELECT (SELECT array_agg(DISTINCT bucket) FROM dirty_bucket WHERE bucket >= %(near)s AND bucket < %(far)s),
    EXISTS (SELECT FROM cost_adjustment WHERE occurred_at >= %(start)s AND occurred_at < %(end)s),
    (SELECT array_agg(relation) FROM retention_floor WHERE complete_from > %(start)s),
    (SELECT array_agg(complete_from) FROM retention_floor WHERE complete_from > %(start)s)
"""


async def read_store_state(conn: AsyncConnection[Any], start: datetime, end: datetime) -> StoreState:
    """In the snapshot of `conn`, as far as it matters to [start, end)."""
    values = {"near": start - _DAY, "far": end + _DAY, "start": start, "end": end}
    row = await (await conn.execute(_STATE, values)).fetchone()
    assert row is not None
    dirty, adjusted, relations, floors = row
    return StoreState(tuple(dirty or ()), bool(adjusted), dict(zip(relations or (), floors or (), strict=True)))


async def _rows(
    conn: AsyncConnection[Any], query: CostQuery, state: StoreState
) -> tuple[list[CostRow], int | None, Sums | None]:
    """One page of rows, where the next begins, and the totals where every bucket was read and nothing but buckets."""
    asked = query.measures
    # What rows are ordered by is read whether it is shown or not.
    query = replace(query, measures=tuple(dict.fromkeys((*asked, _ordering_measure(query)))))
    ordered_here = query.granularity is not None or _is_percentile(query.order_by)
    fetch_max = GROUPS_MAX if ordered_here else None
    made = plan(query, state.dirty, adjusted=state.adjusted, fetch_max=fetch_max, floors=state.floors)
    found = await _fetch(conn, made.statement)
    if ordered_here and len(found) > GROUPS_MAX:
        raise QueryRefused("group_by", f"more than {GROUPS_MAX} groups: filter, or ask for fewer dimensions or buckets")
    histograms = await _histograms(conn, query, state)
    cells = {_key(row, query): _sums(row, made.quantities) for row in found}
    summed = None
    whole = ordered_here or (query.offset == 0 and len(found) <= query.limit)
    if whole and not any(_is_percentile(name) for name in query.measures):
        summed = {name: sum(cell[name] for cell in cells.values()) for name in made.quantities}
    if made.buckets is not None:
        cells = _filled(cells, query, made.buckets, made.quantities)
    labels = made.buckets.labels if made.buckets else ()
    # Of thousands that could be shown only those are put in order, and get figures, that are.
    page = (query.offset, query.offset + query.limit + 1)
    keys = list(islice(_sorted(cells, query, histograms), *page) if ordered_here else cells)
    query = replace(query, measures=asked)
    shown = [_row(key, cells[key], query, labels, histograms.get(key, [])) for key in keys[: query.limit]]
    return shown, query.offset + query.limit if len(keys) > query.limit else None, summed


def _ordering_measure(query: CostQuery) -> str:
    return query.order_by if query.order_by in MEASURES else "cost_usd"


async def _fetch(conn: AsyncConnection[Any], statement: Statement) -> list[dict[str, Any]]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        # Each range has its own best plan; a prepared generic one would not know which chunks to leave out.
        values = {name: _moments(value) for name, value in statement.parameters.items()}
        await cursor.execute(statement.sql.encode(), values, prepare=False)
        return await cursor.fetchall()


def _moments(value: object) -> object:
    """A list of moments as the text of an array: made one by one they cost more than the answer that needs them."""
    if isinstance(value, list) and value and isinstance(value[0], datetime):
        return "{" + ",".join(moment.isoformat() for moment in value) + "}"
    return value


async def _histograms(conn: AsyncConnection[Any], query: CostQuery, state: StoreState) -> dict[Key, Histogram]:
    """Latency histograms by group where percentiles are asked for; else nothing is read."""
    if not any(_is_percentile(name) for name in query.measures):
        return {}
    found = await _fetch(
        conn, plan_latency(query, state.dirty, fetch_max=5 * GROUPS_MAX, floors=state.floors).statement
    )
    if len(found) > 5 * GROUPS_MAX:
        raise QueryRefused("measures", "too many groups for percentiles: filter, or ask for fewer dimensions")
    out: dict[Key, Histogram] = {}
    for row in found:
        out.setdefault(_key(row, query), []).append((row[LATENCY_BUCKET], int(row["calls"])))
    return out


def _key(row: Mapping[str, Any], query: CostQuery) -> Key:
    slot = (row[SLOT],) if query.granularity is not None else ()
    return (*slot, *(row[name] for name in query.group_by))


def _sums(row: Mapping[str, Any], quantities: Iterable[str]) -> Sums:
    return {name: int(row[name]) for name in quantities}


def _filled(cells: dict[Key, Sums], query: CostQuery, buckets: Buckets, quantities: Iterable[str]) -> dict[Key, Sums]:
    """Every group in every bucket; without groups every bucket, though nothing happened at all."""
    groups = list(dict.fromkeys(key[1:] for key in cells)) if query.group_by else [()]
    slots = range(1, len(buckets.labels) + 1)
    if len(groups) * len(slots) > FILLED_ROWS_MAX:
        raise QueryRefused(
            "granularity",
            f"{len(groups)} groups in {len(slots)} buckets are more than {FILLED_ROWS_MAX} rows: "
            "filter, shorten the range or ask for a coarser granularity",
        )
    zero = dict.fromkeys(quantities, 0)
    return {(slot, *group): cells.get((slot, *group), zero) for slot in slots for group in groups}


def _row(key: Key, sums: Sums, query: CostQuery, labels: tuple[datetime, ...], histogram: Histogram) -> CostRow:
    bucket, group = (None, key)
    if query.granularity is not None:
        slot, *rest = key
        assert isinstance(slot, int)
        bucket, group = labels[slot - 1], tuple(rest)
    dimensions = {name: str(value) for name, value in zip(query.group_by, group, strict=True)}
    return CostRow(dimensions, bucket, _figures(query.measures, sums, histogram))


def _figures(measures: Iterable[str], sums: Sums, histogram: Histogram) -> dict[str, Figure]:
    return {name: _figure(MEASURES[name], sums, histogram) for name in measures}


def _figure(measure: Measure, sums: Sums, histogram: Histogram) -> Figure:
    if measure.kind == "percentile":
        return percentile_ms(histogram, measure.share)
    if measure.kind == "ratio":
        above, below = (sums[name] for name in measure.quantities)
        return _thousandths(above, below) if below else None
    total = sum(sums[name] for name in measure.quantities)
    return usd_decimal(total) if measure.unit == "usd" else total


def _thousandths(above: int, below: int) -> float:
    """A ratio to three places, half to even; of the integers, so that it is the same whatever a float makes of them."""
    found, rest = divmod(1_000 * above, below)
    if 2 * rest > below or (2 * rest == below and found % 2):
        found += 1
    return found / 1_000


def _is_percentile(name: str | None) -> bool:
    return name in MEASURES and MEASURES[name].kind == "percentile"


def _sorted(cells: Mapping[Key, Sums], query: CostQuery, histograms: Mapping[Key, Histogram]) -> Iterator[Key]:
    """By what was asked for; by bucket, dearest first within, by default. Figures that are missing come last."""
    name = query.order_by or ("bucket" if query.granularity else "cost_usd")
    descending = query.descending and not (query.order_by is None and name == "bucket")
    first = 1 if query.granularity else 0
    if name == "bucket":
        yield from _by_bucket(cells, descending=descending)
        return
    keys = sorted(cells, key=lambda key: tuple(map(str, key[first:]))) if query.group_by else list(cells)
    if name in query.group_by:
        place = first + query.group_by.index(name)
        yield from sorted(keys, key=lambda key: str(key[place]), reverse=descending)
    else:
        figures = {key: _figure(MEASURES[name], cells[key], histograms.get(key, [])) for key in keys}
        known = [key for key in keys if figures[key] is not None]
        yield from sorted(known, key=lambda key: figures[key] or 0, reverse=descending)
        yield from (key for key in keys if figures[key] is None)


def _by_bucket(cells: Mapping[Key, Sums], *, descending: bool) -> Iterator[Key]:
    """Bucket after bucket, in each the dearest first."""
    buckets: dict[Any, list[Key]] = {}
    for key in cells:
        buckets.setdefault(key[0], []).append(key)
    for slot in sorted(buckets, reverse=descending):
        yield from sorted(buckets[slot], key=lambda key: (-_cost(cells[key]), *map(str, key[1:])))


def _cost(sums: Sums) -> int:
    return sum(sums[name] for name in MEASURES["cost_usd"].quantities)
