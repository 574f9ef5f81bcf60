"""Local buckets: days of 23 and 25 hours, zones off the hour, midnights that do not exist."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from services.query.read.edges import BUCKETS_MAX, bucket_start, local_buckets
from services.query.read.question import QueryRefused

BERLIN, KATHMANDU, LORD_HOWE = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kathmandu"), ZoneInfo("Australia/Lord_Howe")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def hours(start: str, end: str, zone: ZoneInfo) -> list[float]:
    edges = local_buckets(at(start), at(end), "day", zone).edges
    return [(b - a).total_seconds() / 3600 for a, b in pairwise(edges)]


def test_the_day_the_clock_springs_forward_has_23_hours() -> None:
    assert hours("2026-03-27T23:00", "2026-03-30T22:00", BERLIN) == [24, 23, 24]


def test_the_day_the_clock_falls_back_has_25_hours() -> None:
    assert hours("2026-10-23T22:00", "2026-10-26T23:00", BERLIN) == [24, 25, 24]


def test_the_repeated_hour_is_two_buckets_with_different_offsets() -> None:
    found = local_buckets(at("2026-10-25T00:00"), at("2026-10-25T02:00"), "hour", BERLIN)
    assert [label.isoformat() for label in found.labels] == ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"]


def test_days_in_kathmandu_begin_at_a_quarter_past_six_in_utc() -> None:
    found = local_buckets(at("2026-05-01T00:00"), at("2026-05-03T00:00"), "day", KATHMANDU)
    assert found.edges[1:-1] == (at("2026-05-01T18:15"), at("2026-05-02T18:15"))
    assert found.labels[0].isoformat() == "2026-05-01T00:00:00+05:45"


def test_hours_in_kathmandu_begin_at_a_quarter_past_in_utc() -> None:
    found = local_buckets(at("2026-05-01T00:15"), at("2026-05-01T02:15"), "hour", KATHMANDU)
    assert found.edges == (at("2026-05-01T00:15"), at("2026-05-01T01:15"), at("2026-05-01T02:15"))


def test_a_clock_that_moves_by_half_an_hour_moves_the_hours_after_it() -> None:
    # Lord Howe, 4 October 2026: 02:00 +10:30 becomes 02:30 +11:00.
    found = local_buckets(at("2026-10-03T14:30"), at("2026-10-03T17:00"), "hour", LORD_HOWE)
    assert [label.strftime("%H:%M%z") for label in found.labels] == ["01:00+1030", "02:30+1100", "03:00+1100"]


def test_where_midnight_is_skipped_the_day_begins_when_the_clock_goes_on() -> None:
    # Santiago, 6 September 2026: 00:00 becomes 01:00.
    found = local_buckets(at("2026-09-05T04:00"), at("2026-09-07T03:00"), "day", ZoneInfo("America/Santiago"))
    assert [label.strftime("%d %H:%M") for label in found.labels] == ["05 00:00", "06 01:00"]


def test_a_day_that_never_was_is_no_bucket() -> None:
    # Apia went from 29 to 31 December 2011.
    found = local_buckets(at("2011-12-29T10:00"), at("2012-01-01T10:00"), "day", ZoneInfo("Pacific/Apia"))
    assert [label.day for label in found.labels] == [29, 31, 1]


def test_weeks_begin_on_monday_and_months_on_the_first() -> None:
    weeks = local_buckets(at("2026-09-30T12:00"), at("2026-10-13T00:00"), "week", ZoneInfo("UTC"))
    assert weeks.edges[1:-1] == (at("2026-10-05T00:00"), at("2026-10-12T00:00"))
    assert weeks.labels[0] == at("2026-09-28T00:00")
    months = local_buckets(at("2026-01-31T00:00"), at("2026-03-02T00:00"), "month", ZoneInfo("UTC"))
    assert months.edges[1:-1] == (at("2026-02-01T00:00"), at("2026-03-01T00:00"))


def test_ten_years_by_minute_are_refused_before_they_are_counted_out() -> None:
    with pytest.raises(QueryRefused, match=f"more than {BUCKETS_MAX} buckets"):
        local_buckets(at("2016-01-01T00:00"), at("2026-01-01T00:00"), "minute", BERLIN)


def test_just_as_many_buckets_as_allowed_are_served() -> None:
    start = at("2026-01-01T00:00")
    assert len(local_buckets(start, start + timedelta(minutes=BUCKETS_MAX), "minute", BERLIN).labels) == BUCKETS_MAX
    with pytest.raises(QueryRefused):
        local_buckets(start, start + timedelta(minutes=BUCKETS_MAX + 1), "minute", BERLIN)


def test_the_start_of_an_hour_is_local() -> None:
    assert bucket_start(at("2026-05-01T10:20:30"), "hour", KATHMANDU) == at("2026-05-01T10:15")
