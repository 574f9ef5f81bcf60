"""Which buckets are compared together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.audit.engine import EVENTS_PER_RANGE, HOUR, ranges

START = datetime(2026, 11, 1, tzinfo=UTC)


def hours(*numbers: int) -> list[datetime]:
    return [START + HOUR * number for number in numbers]


def spans(unknown: list[datetime], known: list[datetime], **more: object) -> list[tuple[int, int]]:
    found = ranges(unknown, known, HOUR, **more)  # type: ignore[arg-type]
    return [((start - START) // HOUR, (end - START) // HOUR) for start, end in found]


def test_neighbours_are_one_range_and_empty_hours_between_them_do_no_harm() -> None:
    assert spans(hours(1, 2, 3, 7), []) == [(1, 8)]


def test_a_known_hour_is_in_no_range() -> None:
    assert spans(hours(1, 2, 4), hours(3)) == [(1, 3), (4, 5)]
    assert spans([], hours(1, 2)) == []


def test_a_range_ends_where_a_level_begins_to_be_complete() -> None:
    assert spans(hours(1, 2, 3, 4), [], cuts=[START + 3 * HOUR]) == [(1, 3), (3, 5)]


def test_a_range_holds_about_as_many_events_as_fit() -> None:
    weights = dict.fromkeys(hours(1, 2, 3, 4, 5), (EVENTS_PER_RANGE // 2,))
    assert spans(hours(1, 2, 3, 4, 5), [], weights=weights) == [(1, 3), (3, 5), (5, 6)]


def test_no_range_is_longer_than_a_month() -> None:
    days = [START + timedelta(days=day) for day in range(40)]
    found = list(ranges(days, [], timedelta(days=1)))
    assert [(end - start).days for start, end in found] == [31, 9]
