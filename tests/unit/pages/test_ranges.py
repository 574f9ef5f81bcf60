"""Which stretch a page shows and compares with."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.query.pages.ranges import (
    RangeError,
    before_words,
    bucket_label,
    bucket_title,
    period_words,
    resolve,
)

NOW = datetime(2026, 11, 22, 14, 2, 7, tzinfo=UTC)
KATHMANDU = ZoneInfo("Asia/Kathmandu")
BERLIN = ZoneInfo("Europe/Berlin")
UTC_ZONE = ZoneInfo("UTC")


def test_seven_days_are_today_and_the_six_before_it() -> None:
    shown = resolve("7d", NOW, UTC_ZONE)
    assert (shown.now.start, shown.now.end) == (datetime(2026, 11, 16, tzinfo=UTC), NOW)
    assert (shown.granularity, shown.running, shown.days) == ("day", True, 7)


def test_a_running_range_is_compared_with_the_same_stretch_of_the_one_before() -> None:
    before = resolve("7d", NOW, UTC_ZONE).before
    assert before is not None
    assert (before.start, before.end) == (datetime(2026, 11, 9, tzinfo=UTC), datetime(2026, 11, 15, 14, 2, tzinfo=UTC))


def test_this_month_is_compared_with_last_month_by_this_day() -> None:
    shown = resolve("month", NOW, UTC_ZONE)
    assert shown.before is not None
    assert shown.before.start == datetime(2026, 10, 1, tzinfo=UTC)
    assert shown.before.end == datetime(2026, 10, 22, 14, 2, tzinfo=UTC)


def test_the_last_of_march_is_compared_with_no_day_of_march() -> None:
    shown = resolve("month", datetime(2026, 3, 31, 12, tzinfo=UTC), UTC_ZONE)
    assert shown.before is not None
    assert shown.before.end == shown.now.start


def test_24_hours_are_whole_hours_and_the_running_one() -> None:
    shown = resolve("24h", NOW, UTC_ZONE)
    assert (shown.now.start, shown.granularity) == (datetime(2026, 11, 21, 15, tzinfo=UTC), "hour")


def test_days_are_local() -> None:
    shown = resolve("7d", NOW, KATHMANDU)
    assert shown.now.start == datetime(2026, 11, 15, 18, 15, tzinfo=UTC)


def test_a_day_without_an_hour_has_23() -> None:
    shown = resolve("custom", NOW, BERLIN, first_day=date(2026, 3, 29), last_day=date(2026, 3, 29))
    assert shown.now.end - shown.now.start == timedelta(hours=23)
    assert (shown.granularity, shown.running) == ("hour", False)


def test_three_months_reach_back_from_a_day_that_other_months_lack() -> None:
    shown = resolve("3m", datetime(2026, 5, 31, 12, tzinfo=UTC), UTC_ZONE)
    assert shown.now.start == datetime(2026, 3, 1, tzinfo=UTC)


def test_all_time_begins_with_the_first_event_and_has_no_before() -> None:
    shown = resolve("all", NOW, UTC_ZONE, oldest=datetime(2024, 1, 5, 7, tzinfo=UTC))
    assert (shown.now.start, shown.before, shown.granularity) == (datetime(2024, 1, 5, tzinfo=UTC), None, "month")
    assert resolve("all", NOW, UTC_ZONE).now.start == datetime(2026, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "first", "last", "said"),
    [
        ("fortnight", None, None, "range is one of"),
        ("custom", None, None, "needs startDate and endDate"),
        ("custom", date(2026, 5, 2), date(2026, 5, 1), "is before"),
        ("custom", date(1999, 1, 1), date(2026, 5, 1), "at most 3660 days"),
        ("custom", date(1, 1, 1), date(1, 1, 2), "from 1971 on"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused_with_the_reason(
    name: str, first: date | None, last: date | None, said: str
) -> None:
    with pytest.raises(RangeError, match=said):
        resolve(name, NOW, UTC_ZONE, first_day=first, last_day=last)


def test_periods_read_as_words() -> None:
    assert (period_words(resolve("7d", NOW, UTC_ZONE)), before_words(resolve("7d", NOW, UTC_ZONE))) == (
        "in seven days",
        "the seven before",
    )
    day = resolve("custom", NOW, UTC_ZONE, first_day=date(2026, 11, 20), last_day=date(2026, 11, 20))
    assert (period_words(day), before_words(day)) == ("on 20 November", "the day before")


def test_buckets_are_named_by_the_local_clock() -> None:
    at = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)
    assert bucket_label(at, "day", BERLIN) == "Sun 22"
    assert bucket_label(at, "day", BERLIN, 30) == "22 Nov"
    assert bucket_title(at, "hour", BERLIN) == "Sun 22 Nov, 00:30"
    assert bucket_title(at, "week", UTC_ZONE) == "Week of 21 Nov 2026"
    assert bucket_label(at, "month", UTC_ZONE) == "Nov 2026"
