"""Which stretch of time a page shows, and the one it is compared with. Pure; the clock is an argument.

Days are local to the page's zone. A range that is still running is compared with the same stretch of the period
before: seven days until 14:02 with the seven before until 14:02.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal, cast
from zoneinfo import ZoneInfo

RangeName = Literal["24h", "7d", "30d", "month", "3m", "all", "custom"]
Granularity = Literal["hour", "day", "week", "month"]

LABELS: Final[dict[RangeName, str]] = {
    "24h": f"24{chr(0x202F)}h",
    "7d": "7 days",
    "30d": "30 days",
    "month": "This month",
    "3m": "3 months",
    "all": "All time",
    "custom": "Custom",
}
_HOURLY_UP_TO: Final = timedelta(days=3)
_DAILY_UP_TO: Final = timedelta(days=100)
_WEEKLY_UP_TO: Final = timedelta(days=731)
CUSTOM_DAYS_MAX: Final = 3_660
_WEEKDAYS_UP_TO: Final = 14


class RangeError(ValueError):
    """The URL asks for a stretch of time that does not exist; the text says why."""


@dataclass(frozen=True, slots=True)
class Span:
    """`start` inclusive, `end` exclusive; both aware."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class PageRange:
    name: RangeName
    now: Span
    before: Span | None
    granularity: Granularity
    zone: ZoneInfo
    running: bool
    """The end is now: its last bucket is incomplete."""

    @property
    def first_day(self) -> date:
        return self.now.start.astimezone(self.zone).date()

    @property
    def last_day(self) -> date:
        return (self.now.end - timedelta(microseconds=1)).astimezone(self.zone).date()

    @property
    def days(self) -> int:
        return (self.last_day - self.first_day).days + 1


def local_midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a local day, in UTC (arithmetic on instants is only right there)."""
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def _minus_months(day: date, months: int) -> date:
    index = day.year * 12 + day.month - 1 - months
    year, month = divmod(index, 12)
    last = (date(year + (month == 11), (month + 1) % 12 + 1, 1) - timedelta(days=1)).day
    return date(year, month + 1, min(day.day, last))


def month_start(now: datetime, zone: ZoneInfo) -> datetime:
    return local_midnight(now.astimezone(zone).date().replace(day=1), zone)


def today_start(now: datetime, zone: ZoneInfo) -> datetime:
    return local_midnight(now.astimezone(zone).date(), zone)


def _granularity(span: Span) -> Granularity:
    width = span.end - span.start
    if width <= _HOURLY_UP_TO:
        return "hour"
    if width <= _DAILY_UP_TO:
        return "day"
    return "week" if width <= _WEEKLY_UP_TO else "month"


def _to_minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _shifted(start: datetime, end: datetime, earlier: datetime) -> Span:
    """The stretch that starts at `earlier`, as long as this one, and not past its start; ends on a whole minute."""
    return Span(earlier, min(_to_minute(earlier + (end - start)), start))


def _days_back(today: date, now: datetime, zone: ZoneInfo, days: int) -> tuple[Span, Span]:
    start = local_midnight(today - timedelta(days=days - 1), zone)
    earlier = local_midnight(today - timedelta(days=2 * days - 1), zone)
    return Span(start, now), _shifted(start, now, earlier)


def resolve(
    name: str,
    now: datetime,
    zone: ZoneInfo,
    *,
    first_day: date | None = None,
    last_day: date | None = None,
    oldest: datetime | None = None,
) -> PageRange:
    """The range a URL names. `first_day`/`last_day` (both inclusive) for `custom`; `oldest` event for `all`."""
    now = now.astimezone(UTC)
    today = now.astimezone(zone).date()
    if name == "custom":
        return _custom(first_day, last_day, now, zone)
    if name == "24h":
        end_hour = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        start = end_hour - timedelta(hours=24)
        span, before = Span(start, now), _shifted(start, now, start - timedelta(hours=24))
    elif name in ("7d", "30d"):
        span, before = _days_back(today, now, zone, 7 if name == "7d" else 30)
    elif name == "month":
        start = month_start(now, zone)
        earlier = local_midnight(_minus_months(today.replace(day=1), 1), zone)
        span, before = Span(start, now), _shifted(start, now, earlier)
    elif name == "3m":
        start = local_midnight(_minus_months(today, 3) + timedelta(days=1), zone)
        earlier = local_midnight(_minus_months(today, 6) + timedelta(days=1), zone)
        span, before = Span(start, now), _shifted(start, now, earlier)
    elif name == "all":
        start = today_start(min(oldest.astimezone(UTC), now) if oldest else now, zone)
        span = Span(start, now)
        return PageRange("all", span, None, _granularity(span), zone, running=True)
    else:
        raise RangeError(f"range is one of {', '.join(LABELS)}, not {name!r}")
    return PageRange(cast("RangeName", name), span, before, _granularity(span), zone, running=True)


def _custom(first: date | None, last: date | None, now: datetime, zone: ZoneInfo) -> PageRange:
    if first is None or last is None:
        raise RangeError("a custom range needs startDate and endDate, each as YYYY-MM-DD")
    if last < first:
        raise RangeError(f"endDate {last} is before startDate {first}")
    days = (last - first).days + 1
    if days > CUSTOM_DAYS_MAX or first.year < 1971:
        raise RangeError(f"a custom range spans at most {CUSTOM_DAYS_MAX} days from 1971 on")
    start, end = local_midnight(first, zone), local_midnight(last + timedelta(days=1), zone)
    running = start < now < end
    span = Span(start, min(end, now) if running else end)
    before = _shifted(start, span.end, local_midnight(first - timedelta(days=days), zone))
    return PageRange("custom", span, before, _granularity(Span(start, end)), zone, running)


def period_words(shown: PageRange) -> str:
    """The period as a sentence says it: "in seven days"."""
    words: dict[RangeName, str] = {
        "24h": "in 24 hours",
        "7d": "in seven days",
        "30d": "in 30 days",
        "month": "this month",
        "3m": "in three months",
        "all": "since the first event",
    }
    return words.get(shown.name) or _custom_words(shown)


def _custom_words(shown: PageRange) -> str:
    if shown.days == 1:
        return f"on {day_words(shown.first_day)}"
    return f"from {day_words(shown.first_day)} to {day_words(shown.last_day)}"


def before_words(shown: PageRange) -> str:
    """What it is compared with: "than the seven before"."""
    words: dict[RangeName, str] = {
        "24h": "the 24 before",
        "7d": "the seven before",
        "30d": "the 30 before",
        "month": "by this day last month",
        "3m": "the three before",
    }
    return words.get(shown.name) or ("the day before" if shown.days == 1 else f"the {shown.days} days before")


def day_words(day: date) -> str:
    return f"{day.day} {day:%B}"


def bucket_label(at: datetime, granularity: Granularity, zone: ZoneInfo, days: int = 7) -> str:
    """Short, under a bar. Weekdays say more than dates within a fortnight, dates from then on."""
    local = at.astimezone(zone)
    if granularity == "hour":
        return f"{local:%H:%M}"
    if granularity == "month":
        return f"{local:%b %Y}"
    return f"{local:%a} {local.day}" if granularity == "day" and days <= _WEEKDAYS_UP_TO else f"{local.day} {local:%b}"


def bucket_title(at: datetime, granularity: Granularity, zone: ZoneInfo) -> str:
    """In full, in a tooltip."""
    local = at.astimezone(zone)
    if granularity == "hour":
        return f"{local:%a} {local.day} {local:%b}, {local:%H:%M}"
    if granularity == "month":
        return f"{local:%B %Y}"
    return ("Week of " if granularity == "week" else f"{local:%a} ") + f"{local.day} {local:%b %Y}"
