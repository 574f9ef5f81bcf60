"""Which plans can still be read, and what to say of those that can't. Pure.

Retention lets finer levels go first (`services.contracts.retention`). A whole day of years ago is there, a moment in
it is not: a question with an edge there is refused, naming the nearest edges that can be answered, instead of being
answered without that edge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from services.contracts.rollups import LEVEL_SECONDS, Rollup
from services.query.read.question import CostQuery, NotKept
from services.query.read.segments import Segment

RAW_RELATION = "usage_event"
Floors = Mapping[str, datetime]
"""By the names of `retention_floor`: from when on a relation is complete. One that isn't named always is."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def first_lost(segments: Sequence[Segment], rollup: Rollup | None, floors: Floors) -> Segment | None:
    """The first segment of a plan whose rows may be gone; None where all are kept. `rollup` None: from raw events."""
    for segment in segments:
        floor = _floor_of(segment, rollup, floors)
        if floor is not None and segment.start < floor:
            return segment
    return None


def family_of(segment: Segment, rollup: Rollup) -> Rollup:
    """Whose level it is that serves a segment of a plan for `rollup`."""
    if not segment.wide:
        return rollup
    assert rollup.wide is not None, "only of a family that is summed from another"
    return rollup.wide


def refusal(query: CostQuery, lost: Segment, rollup: Rollup | None, floors: Floors) -> NotKept:
    """Why a plan with this segment is refused, and what would do."""
    floor = _floor_of(lost, rollup, floors)
    assert floor is not None, "what is lost lies below a floor"
    if rollup is None:
        return NotKept("from", f"this is counted from single calls, which are kept from {_said(floor)} on")
    width = _finest_kept(lost.start, rollup.wide or rollup, floors)
    if width is None:
        return NotKept("from", f"what would answer this is kept from {_said(floor)} on")
    below, above = _down(lost.start, width), _up(lost.start, width)
    kept = f"of the time before {_said(floor)} sums of {_WIDTH_WORDS[width]} in UTC are kept"
    if lost.start == query.start and above < query.end:
        return NotKept("from", f"{kept}: the nearest that can be answered are {_said(below)} and {_said(above)}")
    if lost.end == query.end and below > query.start:
        below, above = _down(lost.end, width), _up(lost.end, width)
        return NotKept("to", f"{kept}: the nearest that can be answered are {_said(below)} and {_said(above)}")
    if lost.start == query.start:
        return NotKept("from", f"{kept}: the nearest that can be answered is {_said(below)}, to {_said(above)}")
    return NotKept(
        "granularity",
        f"{kept}, and buckets of {query.zone.key} begin inside them: ask in UTC and for buckets as wide, or from "
        f"{_said(floor)} on",
    )


_WIDTH_WORDS = {60: "minutes", 900: "quarters of an hour", 3_600: "hours", 86_400: "days"}


def _floor_of(segment: Segment, rollup: Rollup | None, floors: Floors) -> datetime | None:
    if segment.source == "raw" or rollup is None:
        return floors.get(RAW_RELATION)
    return floors.get(family_of(segment, rollup).view(segment.source))


def _finest_kept(moment: datetime, rollup: Rollup, floors: Floors) -> int | None:
    """The width in seconds of the finest level that is complete around `moment`."""
    for level in rollup.levels:
        width, floor = LEVEL_SECONDS[level], floors.get(rollup.view(level))
        if floor is None or _down(moment, width) >= floor:
            return width
    return None


def _down(moment: datetime, width: int) -> datetime:
    return moment - (moment - _EPOCH) % timedelta(seconds=width)


def _up(moment: datetime, width: int) -> datetime:
    return moment + (_EPOCH - moment) % timedelta(seconds=width)


def _said(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
