"""Local days, weeks and months, across changes of the clock."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.alerting.rules import Frequency, LimitType
from services.alerting.windows import occasion, window


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("alert_type", "tz", "now", "start", "end"),
    [
        ("daily_limit", "UTC", utc(2026, 10, 7, 12), utc(2026, 10, 7), utc(2026, 10, 8)),
        ("weekly_limit", "UTC", utc(2026, 10, 7, 12), utc(2026, 10, 5), utc(2026, 10, 12)),
        ("monthly_limit", "UTC", utc(2026, 12, 31, 23), utc(2026, 12, 1), utc(2027, 1, 1)),
        # Half-hour zone: midnight in Kolkata is 18:30 UTC.
        ("daily_limit", "Asia/Kolkata", utc(2026, 10, 7, 19), utc(2026, 10, 7, 18, 30), utc(2026, 10, 8, 18, 30)),
        # The clocks go back on 25 October 2026: a day of 25 hours.
        ("daily_limit", "Europe/Berlin", utc(2026, 10, 25, 12), utc(2026, 10, 24, 22), utc(2026, 10, 25, 23)),
        # And forward on 29 March: a day of 23 hours, a week of 167.
        ("daily_limit", "Europe/Berlin", utc(2026, 3, 29, 12), utc(2026, 3, 28, 23), utc(2026, 3, 29, 22)),
        ("weekly_limit", "Europe/Berlin", utc(2026, 3, 29, 12), utc(2026, 3, 22, 23), utc(2026, 3, 29, 22)),
        ("monthly_limit", "America/New_York", utc(2026, 3, 1, 4), utc(2026, 2, 1, 5), utc(2026, 3, 1, 5)),
    ],
)
def test_windows_are_local(alert_type: LimitType, tz: str, now: datetime, start: datetime, end: datetime) -> None:
    assert window(alert_type, now, tz) == (start, end)


@pytest.mark.parametrize(
    ("frequency", "expected"),
    [
        ("once", utc(2026, 10, 1)),
        ("daily", utc(2026, 10, 7)),
        ("hourly", utc(2026, 10, 7, 12)),
        ("every", utc(2026, 10, 7, 12, 34)),
    ],
)
def test_a_breach_that_lasts_is_told_once_an_occasion(frequency: Frequency, expected: datetime) -> None:
    assert occasion(frequency, utc(2026, 10, 1), utc(2026, 10, 7, 12, 34), "UTC") == expected
