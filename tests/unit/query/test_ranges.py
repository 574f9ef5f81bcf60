"""Ranges as parameters say them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from services.query.api.problems import Complaints
from services.query.api.ranges import Range, is_zone, parse_moment, read_range

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)


def read(start: str | None, end: str | None, *, last_included: bool = False) -> tuple[Range, list[str]]:
    complaints = Complaints()
    found = read_range(("from", "to"), (start, end), BERLIN, NOW, complaints, last_included=last_included)
    return found, [complaint.parameter for complaint in complaints.found]


def test_a_date_is_its_local_midnight() -> None:
    found, wrong = read("2026-07-01", "2026-07-02")
    assert (found.start, found.end) == (
        datetime(2026, 6, 30, 22, tzinfo=UTC),
        datetime(2026, 7, 1, 22, tzinfo=UTC),
    )
    assert wrong == []


def test_an_end_date_that_is_included_ends_at_the_next_midnight() -> None:
    found, _ = read("2026-10-25", "2026-10-25", last_included=True)
    assert (found.end - found.start).total_seconds() == 25 * 3600


def test_an_instant_as_end_is_excluded_though_dates_are_included() -> None:
    found, _ = read("2026-10-25", "2026-10-25T12:00:00Z", last_included=True)
    assert found.end == datetime(2026, 10, 25, 12, tzinfo=UTC)


def test_without_anything_it_is_the_last_thirty_local_days() -> None:
    found, _ = read(None, None)
    assert found.start == datetime(2026, 10, 23, 22, tzinfo=UTC)
    assert found.end == datetime(2026, 11, 22, 23, tzinfo=UTC)


def test_without_a_start_it_is_thirty_days_up_to_the_end() -> None:
    found, _ = read(None, "2026-07-31")
    assert found.start == datetime(2026, 6, 30, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "end", "wrong"),
    [
        ("yesterday", None, ["from"]),
        ("2026-13-01", "2026-02-30", ["from", "to"]),
        ("2026-10-02", "2026-10-01", ["to"]),
        ("2026-10-01", "2026-10-01", ["to"]),
        ("0001-01-01", None, ["from"]),
        ("2026-10-01", "9999-12-31", ["to"]),
        ("2026-12-24", None, ["from"]),
        ("", None, ["from"]),
        ("2026-10-01T25:00:00Z", None, ["from"]),
        ("２０２６-10-01", None, ["from"]),
    ],
)
def test_what_makes_no_range_is_named(start: str | None, end: str | None, wrong: list[str]) -> None:
    assert read(start, end)[1] == wrong


@pytest.mark.parametrize(
    "text",
    ["2026-10-01T08:00:00+02:00", "2026-10-01T08:00:00 02:00", "2026-10-01T06:00Z", "2026-10-01t06:00:00.000z"],
)
def test_the_same_instant_in_many_spellings(text: str) -> None:
    assert parse_moment(text, BERLIN) == datetime(2026, 10, 1, 6, tzinfo=UTC)


def test_an_instant_without_an_offset_is_local() -> None:
    assert parse_moment("2026-07-01T08:00:00", BERLIN) == datetime(2026, 7, 1, 6, tzinfo=UTC)


@pytest.mark.parametrize("name", ["Mars/Base", "../etc/passwd", "", "America", "europe/berlin", "UTC\x00"])
def test_what_is_no_zone_is_none(name: str) -> None:
    assert not is_zone(name)
