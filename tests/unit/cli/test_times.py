from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.cli.times import format_instant, parse_instant


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023-11-16 18:15:46.6805900", datetime(2023, 11, 16, 18, 15, 46, 680_590, UTC)),
        ("2023-11-16T18:15:46Z", datetime(2023, 11, 16, 18, 15, 46, tzinfo=UTC)),
        ("2023-11-16T20:15+02:00", datetime(2023, 11, 16, 18, 15, tzinfo=UTC)),
        ("2023-11-16T23:45:00.5+05:30", datetime(2023, 11, 16, 18, 15, 0, 500_000, UTC)),
        ("2023-11-16", datetime(2023, 11, 16, tzinfo=UTC)),
        ("1700158546680", datetime(2023, 11, 16, 18, 15, 46, 680_000, UTC)),
    ],
)
def test_an_instant_is_read_to_the_microsecond(text: str, expected: datetime) -> None:
    assert parse_instant(text) == expected


def test_digits_past_the_microsecond_are_cut_off() -> None:
    assert parse_instant("2023-11-16T18:15:46.9999999Z").microsecond == 999_999


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2023-13-01T00:00:00Z", "2023-11-31", "18:15", "2023-11-16T25:00:00Z"]
)
def test_what_is_no_time_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(ValueError, match=text or "no time"):
        parse_instant(text)


def test_an_instant_is_written_in_utc_with_microseconds() -> None:
    assert format_instant(parse_instant("2026-01-31T01:00:00+02:00")) == "2026-01-30T23:00:00.000000Z"
