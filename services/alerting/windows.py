"""Which stretch of time a rule looks at: local days, weeks from Monday, months; and how often it may speak. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from services.alerting.rules import BudgetWindow, Frequency, LimitType


def window(alert_type: LimitType, now: datetime, tz: str) -> tuple[datetime, datetime]:
    """Start (inclusive) and end (exclusive), in UTC, of the window `now` lies in. Right across changes of the clock."""
    zone = ZoneInfo(tz)
    today = now.astimezone(zone).date()
    if alert_type == "daily_limit":
        first, after = today, today + timedelta(days=1)
    elif alert_type == "weekly_limit":
        first = today - timedelta(days=today.weekday())
        after = first + timedelta(days=7)
    else:
        first = today.replace(day=1)
        after = (first + timedelta(days=31)).replace(day=1)
    return local_midnight(first, zone), local_midnight(after, zone)


BUDGET_WINDOWS: dict[BudgetWindow, LimitType] = {
    "daily": "daily_limit",
    "weekly": "weekly_limit",
    "monthly": "monthly_limit",
}


def local_midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a local day, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def day_start(moment: datetime, tz: str) -> datetime:
    """The first instant of the local day a moment lies in, in UTC."""
    zone = ZoneInfo(tz)
    return local_midnight(moment.astimezone(zone).date(), zone)


def occasion(frequency: Frequency, window_start: datetime, now: datetime, tz: str) -> datetime:
    """The start of the stretch in which a breach that lasts is told once: the window, the day, the hour, the minute."""
    if frequency == "once":
        return window_start
    if frequency == "daily":
        start = day_start(now, tz)
    elif frequency == "hourly":
        start = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    else:
        start = now.astimezone(UTC).replace(second=0, microsecond=0)
    return max(window_start, start)
