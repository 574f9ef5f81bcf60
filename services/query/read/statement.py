"""The SQL text of a plan: one arm per level, summed once more. Names come from the declared vocabulary only, values are
parameters, but for tenant_no, which is a literal number so that no plan is shared between tenants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from services.contracts.dimensions import TENANT_DIMENSION
from services.contracts.rollups import LATENCY, LEVEL_SECONDS, Level, Rollup
from services.query.read.edges import Buckets
from services.query.read.kept import family_of
from services.query.read.question import CostQuery
from services.query.read.segments import Segment, Source
from services.query.read.sources import (
    LATENCY_BUCKET,
    RAW_FROM,
    RAW_FROM_UNADJUSTED,
    latency_bucket_sql,
    raw_quantities,
    rollup_quantity,
)

# Up to so many pieces of a level are arms of their own; more become a list of buckets in one arm.
_ARMS_MAX = 3
SLOT = "slot"


@dataclass(frozen=True, slots=True)
class Statement:
    """`sql` with `%(name)s` placeholders. Columns of the result: slot (with buckets), the group, the quantities."""

    sql: str
    parameters: dict[str, object]


@dataclass(frozen=True, slots=True)
class Parts:
    """What the arms have in common. `rollup` None means raw events only."""

    rollup: Rollup | None
    segments: tuple[Segment, ...]
    buckets: Buckets | None
    group_by: tuple[str, ...]
    quantities: tuple[str, ...]
    adjusted: bool


@dataclass(slots=True)
class _Values:
    """Collects parameters under short names in the order of their use."""

    found: dict[str, object] = field(default_factory=dict)

    def add(self, value: object) -> str:
        name = f"p{len(self.found)}"
        self.found[name] = value
        return f"%({name})s"


def render(query: CostQuery, parts: Parts, *, order: str | None, fetch_max: int | None) -> Statement:
    """One statement for all segments. Without `order` groups come as they come, at most `fetch_max` + 1."""
    values = _Values()
    slot = f"width_bucket({{}}, {values.add(list(parts.buckets.edges[:-1]))}::timestamptz[])" if parts.buckets else None
    filters = [(name, values.add(list(wanted))) for name, wanted in query.filters if name != TENANT_DIMENSION]
    arms = [_arm(query, parts, first, where, slot, filters) for first, where in _pieces(parts.segments, values)]
    keys = [*([SLOT] if slot else []), *(_column(name) for name in parts.group_by)]
    sums = [f"coalesce(sum({name}), 0)::numeric AS {name}" for name in parts.quantities]
    union = "\n  UNION ALL\n  ".join(arms)
    body = f"SELECT {', '.join([*keys, *sums])} FROM (\n  {union}\n) AS part"
    body += f" GROUP BY {', '.join(keys)}" if keys else ""
    if TENANT_DIMENSION in parts.group_by:
        shown = [*([SLOT] if slot else []), *parts.group_by, *parts.quantities]
        body = f"SELECT {', '.join(shown)} FROM (\n{body}\n) AS summed JOIN tenant USING (tenant_no)"
    if fetch_max is not None:
        return Statement(f"{body}\nLIMIT {fetch_max + 1}", values.found)
    page = f"LIMIT {query.limit + 1} OFFSET {query.offset}"
    # Sums of the select list can't be used in expressions of its own ORDER BY: one more level.
    return Statement(f"SELECT * FROM (\n{body}\n) AS answer ORDER BY {order}\n{page}", values.found)


def _column(name: str) -> str:
    return "tenant_no" if name == TENANT_DIMENSION else name


def _arm(
    query: CostQuery, parts: Parts, segment: Segment, where: str, slot: str | None, filters: Sequence[tuple[str, str]]
) -> str:
    """One source's part; `segment` is one of those it serves."""
    raw = segment.source == "raw"
    time, prefix = ("e.occurred_at", "e.") if raw else ("bucket", "")
    columns = []
    if slot:
        columns.append(f"{slot.format(time)} AS {SLOT}")
    for name in parts.group_by:
        expression = latency_bucket_sql("e.latency_ms") if raw and name == LATENCY_BUCKET else prefix + _column(name)
        columns.append(f"{expression} AS {_column(name)}" if raw else expression)
    keys = [str(position + 1) for position in range(len(columns))]
    if segment.source == "raw":
        table = RAW_FROM if parts.adjusted else RAW_FROM_UNADJUSTED
        expressions = raw_quantities(adjusted=parts.adjusted)
        sums = [f"{expressions[name]} AS {name}" for name in parts.quantities]
    else:
        assert parts.rollup is not None
        family = family_of(segment, parts.rollup)
        table = family.view(segment.source)
        sums = [f"{_rollup_sum(family, name)} AS {name}" for name in parts.quantities]
    wheres = [where.replace("{time}", time), *tenant_condition(query.tenants, prefix)]
    wheres += [f"{prefix}{name} = ANY({values}::text[])" for name, values in filters]
    if raw and LATENCY_BUCKET in parts.group_by:
        wheres.append("e.latency_ms IS NOT NULL")
    group = f" GROUP BY {', '.join(keys)}" if keys else ""
    return f"SELECT {', '.join([*columns, *sums])} FROM {table} WHERE {' AND '.join(wheres)}{group}"


def _rollup_sum(rollup: Rollup, name: str) -> str:
    return f"sum({name})" if rollup == LATENCY else rollup_quantity(rollup, name)


def tenant_condition(tenants: tuple[int, ...] | None, prefix: str) -> list[str]:
    """The tenant as literal numbers, in a list of conditions; none where all tenants are meant."""
    if tenants is None:
        return []
    if len(tenants) == 1:
        return [f"{prefix}tenant_no = {int(tenants[0])}"]
    return [f"{prefix}tenant_no = ANY('{{{','.join(str(int(no)) for no in tenants)}}}'::integer[])"]


def _pieces(segments: Sequence[Segment], values: _Values) -> list[tuple[Segment, str]]:
    """(a segment of its source, condition on {time}) of each arm."""
    by_source: dict[tuple[Source, bool], list[Segment]] = {}
    for segment in segments:
        by_source.setdefault((segment.source, segment.wide), []).append(segment)
    pieces: list[tuple[Segment, str]] = []
    for (source, _), mine in by_source.items():
        if len(mine) <= _ARMS_MAX:
            pieces += [(segment, _between(segment.start, segment.end, values)) for segment in mine]
        elif source == "raw":
            ranges = " OR ".join(f"({_between(segment.start, segment.end, values)})" for segment in mine)
            pieces.append((mine[0], f"({ranges})"))
        else:
            pieces.append((mine[0], _listed(source, mine, values)))
    return pieces


def _between(start: datetime, end: datetime, values: _Values) -> str:
    return f"{{time}} >= {values.add(start)} AND {{time}} < {values.add(end)}"


def _listed(level: Level, segments: Sequence[Segment], values: _Values) -> str:
    """The hull of the segments without its holes, or with the buckets named, whichever list is shorter."""
    hull = _between(segments[0].start, segments[-1].end, values)
    holes = [Segment(level, a.end, b.start) for a, b in pairwise(segments)]
    if sum(hole.buckets() for hole in holes) < sum(segment.buckets() for segment in segments):
        return f"{hull} AND {{time}} <> ALL({values.add(_starts(level, holes))}::timestamptz[])"
    return f"{hull} AND {{time}} = ANY({values.add(_starts(level, segments))}::timestamptz[])"


def _starts(level: Level, segments: Sequence[Segment]) -> list[datetime]:
    width = timedelta(seconds=LEVEL_SECONDS[level])
    return [segment.start + width * step for segment in segments for step in range(segment.buckets())]
