"""From a question to SQL on the cheapest source that answers it exactly. Pure.

What can't be answered within bounds is refused, saying what would work.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.contracts.dimensions import (
    MEASURES,
    READ_ROLLUPS,
    TENANT_DIMENSION,
    TOTAL_QUANTITIES,
    answering_rollups,
    is_latency_answered,
)
from services.contracts.rollups import LATENCY, Rollup
from services.query.read.edges import Buckets, local_buckets
from services.query.read.kept import Floors, family_of, first_lost, refusal
from services.query.read.question import CostQuery, QueryRefused
from services.query.read.segments import Segment, cover, cover_narrow
from services.query.read.sources import LATENCY_BUCKET
from services.query.read.statement import Parts, Statement, render

RAW_DAYS_MAX = 35
NOTHING_GONE: Floors = {}
# How many rows a bucket of a rollup holds per tenant, about; only to choose between sources that all are exact.
_ROWS_PER_BUCKET = {
    "channel": 4, "provider": 5, "region": 8, "usage": 40, "latency": 60, "spender": 100, "customer": 400
}  # fmt: skip
_RAW_ROWS_PER_SECOND = 20
_LIST_BUCKETS_MAX = 4_000


@dataclass(frozen=True, slots=True)
class Plan:
    """SQL for one question. `source` is the rollup's name or "raw"; `buckets` the local buckets where there are any."""

    source: str
    segments: tuple[Segment, ...]
    statement: Statement
    buckets: Buckets | None
    quantities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Candidate:
    rollup: Rollup | None
    segments: tuple[Segment, ...]

    def rows(self) -> float:
        """How many rows it reads, about."""
        raw = _raw_seconds(self.segments) * _RAW_ROWS_PER_SECOND
        if self.rollup is None:
            return raw
        return raw + sum(
            segment.buckets() * _ROWS_PER_BUCKET[family_of(segment, self.rollup).name] for segment in self.segments
        )


def plan(
    query: CostQuery,
    dirty: Collection[datetime],
    *,
    adjusted: bool = True,
    fetch_max: int | None = None,
    floors: Floors = NOTHING_GONE,
) -> Plan:
    """The plan for the sums `query` asks for (percentiles: `plan_latency`).

    `dirty` are the 15-minute buckets waiting for refresh, read in the same snapshot the plan will run in. `adjusted`
    False spares the join where there are no adjustments. With `fetch_max` all groups are fetched unordered, one more
    than that at most, instead of one page of them. `floors` as `retention_floor` has them, of the same snapshot. Raises
    NotKept where what would answer was let go, QueryRefused where it would cost too much.
    """
    quantities = quantities_of(query.measures)
    buckets = _buckets(query)
    dimensions = (*query.group_by, *(name for name, _ in query.filters))
    best = _cheapest(query, answering_rollups(dimensions, quantities), buckets, dirty, floors)
    parts = Parts(best.rollup, best.segments, buckets, query.group_by, quantities, adjusted=adjusted)
    if fetch_max is None and not query.group_by and buckets is None:
        fetch_max = 1
    statement = render(query, parts, order=None if fetch_max is not None else _order(query), fetch_max=fetch_max)
    return Plan(best.rollup.name if best.rollup else "raw", best.segments, statement, buckets, quantities)


def plan_latency(
    query: CostQuery, dirty: Collection[datetime], *, fetch_max: int, floors: Floors = NOTHING_GONE
) -> Plan:
    """The plan for the latency histogram: the groups of `query` by latency bucket, with its calls."""
    buckets = _buckets(query)
    dimensions = (*query.group_by, *(name for name, _ in query.filters))
    rollups = (LATENCY,) if is_latency_answered(dimensions) else ()
    best = _cheapest(query, rollups, buckets, dirty, floors)
    parts = Parts(best.rollup, best.segments, buckets, (*query.group_by, LATENCY_BUCKET), ("calls",), adjusted=False)
    statement = render(query, parts, order=None, fetch_max=fetch_max)
    return Plan(best.rollup.name if best.rollup else "raw", best.segments, statement, buckets, ("calls",))


def quantities_of(measures: Iterable[str]) -> tuple[str, ...]:
    """What has to be summed for these measures, each once; what every total says is among them."""
    names = [q for name in measures if MEASURES[name].kind != "percentile" for q in MEASURES[name].quantities]
    return tuple(dict.fromkeys((*names, *TOTAL_QUANTITIES)))


def _buckets(query: CostQuery) -> Buckets | None:
    if query.granularity is None:
        return None
    return local_buckets(query.start, query.end, query.granularity, query.zone)


def _cheapest(
    query: CostQuery,
    rollups: Sequence[Rollup],
    buckets: Buckets | None,
    dirty: Collection[datetime],
    floors: Floors,
) -> _Candidate:
    breaks = buckets.edges[1:-1] if buckets else ()
    candidates = [_candidate(query, rollup, breaks, _rebuildable(rollup, dirty, floors)) for rollup in rollups]
    allowed = [c for c in candidates if _raw_seconds(c.segments) <= RAW_DAYS_MAX * 86_400]
    if not allowed and (query.end - query.start).total_seconds() <= RAW_DAYS_MAX * 86_400:
        allowed = [_Candidate(None, (Segment("raw", query.start, query.end),))]
    if not allowed:
        raise _refused(query, rollups)
    whole = [c for c in allowed if first_lost(c.segments, c.rollup, floors) is None]
    if not whole:
        nearest = min(allowed, key=_Candidate.rows)
        lost = first_lost(nearest.segments, nearest.rollup, floors)
        assert lost is not None
        raise refusal(query, lost, nearest.rollup, floors)
    return min(whole, key=_Candidate.rows)


def _rebuildable(rollup: Rollup, dirty: Collection[datetime], floors: Floors) -> Collection[datetime]:
    """A marked bucket is read from the base level while that is kept; below its floor the sums above it are all there
    is, and the refresher leaves them as they are."""
    family = rollup.wide or rollup
    floor = floors.get(family.view(family.base_level))
    return dirty if floor is None else [mark for mark in dirty if mark >= floor]


def _candidate(query: CostQuery, rollup: Rollup, breaks: Sequence[datetime], dirty: Collection[datetime]) -> _Candidate:
    if rollup.wide is not None:
        segments = cover_narrow(query.start, query.end, breaks, rollup.levels, rollup.wide.levels, tuple(dirty))
    else:
        segments = cover(query.start, query.end, breaks, rollup.levels, dirty)
    if len(segments) > _LIST_BUCKETS_MAX:
        # So scattered that the pieces cost more than they spare: the exact base level alone.
        rollup = rollup.wide or rollup
        segments = cover(query.start, query.end, breaks, rollup.levels[:1], ())
    return _Candidate(rollup, segments)


def _raw_seconds(segments: Iterable[Segment]) -> float:
    return sum(segment.seconds for segment in segments if segment.source == "raw")


def _order(query: CostQuery) -> str:
    name = query.order_by or "cost_usd"
    direction = "DESC" if query.descending else "ASC"
    ties = ", ".join(query.group_by)
    if name in query.group_by:
        first = f"{name} {direction}"
    else:
        measure = MEASURES[name]
        first = f"{' + '.join(f'coalesce({q}, 0)' for q in measure.quantities)} {direction}"
        if measure.kind == "ratio":
            first = f"{measure.quantities[0]} / nullif({measure.quantities[1]}, 0) {direction} NULLS LAST"
    return f"{first}, {ties}" if ties else first


def _refused(query: CostQuery, rollups: Sequence[Rollup]) -> QueryRefused:
    if rollups:
        return QueryRefused(
            "granularity", f"with these dimensions buckets this fine are served for at most {RAW_DAYS_MAX} days"
        )
    asked = sorted({*query.group_by, *(name for name, _ in query.filters)})
    sets = "; ".join(
        f"{', '.join((TENANT_DIMENSION, *rollup.dimensions))}" for rollup in READ_ROLLUPS if rollup.wide is None
    )
    return QueryRefused(
        "group_by",
        f"{', '.join(asked)} together are counted from raw events, for a range of at most {RAW_DAYS_MAX} days; "
        f"for longer ranges stay within one of: {sets}",
    )
