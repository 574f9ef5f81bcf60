"""Segments cover a range exactly once, on edges of their levels, and never trust what is stale."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from services.contracts.rollups import LEVEL_SECONDS, NARROWED, ROLLUPS, Rollup
from services.query.read.edges import local_buckets
from services.query.read.question import Granularity
from services.query.read.segments import Segment, cover, cover_narrow

BASE = datetime(2026, 10, 20, tzinfo=UTC)
ZONES = ["UTC", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Chatham"]
moments = st.integers(0, 12 * 86_400_000).map(lambda ms: BASE + timedelta(milliseconds=ms))
rough = st.sampled_from([60, 900, 3_600, 86_400])
quarters = st.integers(-96, 13 * 96).map(lambda n: BASE + timedelta(minutes=15 * n))
Range = tuple[datetime, datetime]


@st.composite
def ranges(draw: st.DrawFn) -> Range:
    start, end = sorted((draw(moments), draw(moments)))
    width = draw(rough)
    if draw(st.booleans()):
        start = BASE + timedelta(seconds=(start - BASE).total_seconds() // width * width)
    return start, max(end, start + timedelta(milliseconds=1))


def levels_of(segment: Segment, rollup: Rollup) -> tuple[str, ...]:
    return rollup.wide.levels if segment.wide and rollup.wide is not None else rollup.levels


def check(segments: tuple[Segment, ...], rollup: Rollup, span: Range) -> None:
    assert segments[0].start == span[0]
    assert segments[-1].end == span[1]
    assert all(a.end == b.start for a, b in pairwise(segments))
    for segment in segments:
        assert segment.start < segment.end
        if segment.source != "raw":
            assert segment.source in levels_of(segment, rollup)
            width = LEVEL_SECONDS[segment.source]
            assert segment.start.timestamp() % width == segment.end.timestamp() % width == 0


def check_uncut(segment: Segment, inside: list[datetime]) -> None:
    """No bucket of the segment's level, which is no raw one, is cut by a bucket of the answer."""
    assert segment.source != "raw"
    width = timedelta(seconds=LEVEL_SECONDS[segment.source])
    assert not [m for m in inside if segment.start < m < segment.end and (m - segment.start) % width]


@given(ranges(), st.lists(moments, max_size=20), st.lists(quarters, max_size=30), st.sampled_from(ROLLUPS))
@settings(max_examples=300, deadline=None)
def test_each_moment_is_served_once(span: Range, breaks: list[datetime], stale: list[datetime], rollup: Rollup) -> None:
    inside = [moment for moment in breaks if span[0] < moment < span[1]]
    segments = cover(*span, inside, rollup.levels, stale)
    check(segments, rollup, span)
    for segment in segments:
        if segment.source == "raw":
            continue
        check_uncut(segment, inside)
        if segment.source != rollup.base_level:
            assert not [mark for mark in stale if segment.start <= mark < segment.end]


@given(ranges(), st.lists(moments, max_size=20), st.lists(quarters, max_size=30), st.sampled_from(NARROWED))
@settings(max_examples=300, deadline=None)
def test_what_waits_is_read_from_what_a_family_is_summed_from(
    span: Range, breaks: list[datetime], stale: list[datetime], rollup: Rollup
) -> None:
    assert rollup.wide is not None
    inside = [moment for moment in breaks if span[0] < moment < span[1]]
    segments = cover_narrow(*span, inside, rollup.levels, rollup.wide.levels, stale)
    check(segments, rollup, span)
    for segment in segments:
        if segment.source == "raw":
            continue
        check_uncut(segment, inside)
        if not segment.wide or segment.source != rollup.wide.base_level:
            assert not [mark for mark in stale if segment.start <= mark < segment.end]


@given(ranges(), st.sampled_from(ZONES), st.sampled_from(["hour", "day", "week", "month"]), st.sampled_from(ROLLUPS))
@settings(max_examples=200, deadline=None)
def test_local_buckets_are_made_of_whole_buckets_of_the_levels(
    span: Range, zone: str, granularity: Granularity, rollup: Rollup
) -> None:
    buckets = local_buckets(*span, granularity, ZoneInfo(zone))
    assert buckets.edges[0] == span[0]
    assert buckets.edges[-1] == span[1]
    assert all(a < b for a, b in pairwise(buckets.edges))
    assert len(buckets.labels) == len(buckets.edges) - 1
    assert all(label <= edge for label, edge in zip(buckets.labels, buckets.edges, strict=False))
    check(cover(*span, buckets.edges[1:-1], rollup.levels, ()), rollup, span)


@given(ranges(), st.sampled_from(ROLLUPS))
@settings(max_examples=100, deadline=None)
def test_whole_days_without_stale_buckets_are_served_from_the_day_level_alone(span: Range, rollup: Rollup) -> None:
    start = span[0].replace(hour=0, minute=0, second=0, microsecond=0)
    end = span[1].replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    assert cover(start, end, (), rollup.levels, ()) == (Segment("day", start, end),)
