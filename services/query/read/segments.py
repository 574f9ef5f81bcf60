"""Which level of a rollup serves which part of a range. Pure.

The coarsest level serves what it can; a bucket of it is *blocked* when a bucket of the answer begins inside it, or
when it still waits for refresh. Blocked buckets and ragged ends are served from the next finer level, in the end from
raw events.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal

from services.contracts.rollups import LEVEL_SECONDS, Level

Source = Level | Literal["raw"]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Segment:
    """[start, end) served from one level; for rollups both lie on the level's bucket edges. `wide`: from that level of
    the family which the rollup is summed from."""

    source: Source
    start: datetime
    end: datetime
    wide: bool = False

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()

    def buckets(self) -> int:
        """How many buckets of its level it holds; raw events have none."""
        return 0 if self.source == "raw" else int(self.seconds) // LEVEL_SECONDS[self.source]


def cover(
    start: datetime,
    end: datetime,
    breaks: Iterable[datetime],
    levels: Sequence[Level],
    stale: Iterable[datetime],
    *,
    exact: bool = True,
) -> tuple[Segment, ...]:
    """Segments that hold each moment of [start, end) exactly once, in order.

    `breaks` are moments no bucket may straddle. `levels` are finest first; the finest is always exact, unless `exact`
    is False. `stale` are the starts of 15-minute buckets whose coarser levels are not to be trusted.
    """
    cuts = _micros_of(tuple(breaks))
    dirty = _micros_of(tuple(stale))
    out: list[tuple[Source, int, int]] = []
    steps: list[tuple[Level, int, list[int]]] = []
    for level in reversed(levels):
        width = LEVEL_SECONDS[level] * 1_000_000
        blocked = {cut - cut % width for cut in cuts if cut % width}
        if level != levels[0] or not exact:
            blocked |= {mark - mark % width for mark in dirty}
        steps.append((level, width, sorted(blocked)))
    _descend(_micros(start), _micros(end), steps, 0, out)
    return tuple(Segment(source, _moment(a), _moment(b)) for source, a, b in out)


def cover_narrow(
    start: datetime,
    end: datetime,
    breaks: Sequence[datetime],
    levels: Sequence[Level],
    wide: Sequence[Level],
    stale: Sequence[datetime],
) -> tuple[Segment, ...]:
    """The same by the levels of a family that has no exact one; what they don't serve is served by the levels of the
    family which it is summed from."""
    out: list[Segment] = []
    for segment in cover(start, end, breaks, levels, stale, exact=False):
        if segment.source == "raw":
            rest = cover(segment.start, segment.end, _inside(breaks, segment), wide, stale)
            out += [Segment(part.source, part.start, part.end, wide=part.source != "raw") for part in rest]
        else:
            out.append(segment)
    return tuple(out)


def _inside(breaks: Sequence[datetime], segment: Segment) -> list[datetime]:
    return [moment for moment in breaks if segment.start < moment < segment.end]


def _descend(
    start: int, end: int, steps: list[tuple[Level, int, list[int]]], depth: int, out: list[tuple[Source, int, int]]
) -> None:
    if depth == len(steps):
        _add(out, "raw", start, end)
        return
    level, width, blocked = steps[depth]
    first, last = start + -start % width, end - end % width
    if first >= last:
        if start < end:
            _descend(start, end, steps, depth + 1, out)
        return
    if start < first:
        _descend(start, first, steps, depth + 1, out)
    cursor = first
    for bucket in blocked[bisect_left(blocked, first) : bisect_left(blocked, last)]:
        _add(out, level, cursor, bucket)
        _descend(bucket, bucket + width, steps, depth + 1, out)
        cursor = bucket + width
    _add(out, level, cursor, last)
    if last < end:
        _descend(last, end, steps, depth + 1, out)


def _add(out: list[tuple[Source, int, int]], source: Source, start: int, end: int) -> None:
    if start >= end:
        return
    if out and out[-1][0] == source and out[-1][2] == start:
        out[-1] = (source, out[-1][1], end)
    else:
        out.append((source, start, end))


@lru_cache(maxsize=32)
def _micros_of(moments: tuple[datetime, ...]) -> tuple[int, ...]:
    # The same thousands of bucket edges for each family that could answer.
    return tuple(_micros(moment) for moment in moments)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _moment(micros: int) -> datetime:
    return _EPOCH + micros * _MICROSECOND
