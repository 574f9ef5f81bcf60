"""A tenant's calendar: its local days, and the same hour of other days, also where the clocks change. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from services.processor.spikes import HOUR, hour_of

DAY, WEEK = timedelta(days=1), timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Calendar:
    """Of one time zone. Remembers the days of the hours it was asked for: make one for a round, not for ever."""

    zone: tzinfo = UTC
    _days: dict[datetime, date] = field(default_factory=dict, compare=False, repr=False)

    def day_of(self, moment: datetime) -> date:
        """The local day."""
        day = self._days.get(moment)
        if day is None:
            self._days[moment] = day = moment.astimezone(self.zone).date()
        return day

    def start_of(self, day: date) -> datetime:
        """The first instant of a local day, in UTC. Not always a whole hour, and days have 23 to 25 hours."""
        return datetime.combine(day, time(), self.zone).astimezone(UTC)

    def length_of(self, day: date) -> timedelta:
        return self.start_of(day + DAY) - self.start_of(day)

    def hours_of(self, day: date) -> tuple[datetime, ...]:
        """The UTC hours that begin in it, from the one it begins in."""
        hour, end, hours = hour_of(self.start_of(day)), self.start_of(day + DAY), []
        while hour + HOUR <= end:
            hours.append(hour)
            hour += HOUR
        return tuple(hours)

    def split_hours(self, first: date, last: date) -> list[datetime]:
        """The hours that two of these local days share: none where the zone lies whole hours from UTC."""
        starts = (self.start_of(first + number * DAY) for number in range((last - first).days + 1))
        return [hour_of(start) for start in starts if start != hour_of(start)]

    def days_before(self, moment: datetime, days: int) -> datetime:
        """When the clock on the wall showed the same so many days before, in UTC."""
        local = moment.astimezone(self.zone).replace(tzinfo=None) - days * DAY
        return local.replace(tzinfo=self.zone).astimezone(UTC)

    def is_steady(self, start: datetime, end: datetime) -> bool:
        """Whether no clock was changed in between."""
        return len({moment.astimezone(self.zone).utcoffset() for moment in _daily(start, end)}) == 1

    def wall_hour(self, hour: datetime) -> datetime:
        """The hour the clock on the wall shows, as if it were UTC: what is a week apart there has the same name."""
        local = hour.astimezone(self.zone)
        return local.replace(minute=0, second=0, microsecond=0, tzinfo=UTC)


UTC_DAYS = Calendar()


def calendar_of(tz: str) -> Calendar:
    """UTC's for a zone that isn't known here: an alarm by another midnight is better than none."""
    try:
        return Calendar(ZoneInfo(tz))
    except (ZoneInfoNotFoundError, ValueError):
        return Calendar()


def _daily(start: datetime, end: datetime) -> Iterator[datetime]:
    while start < end:
        yield start
        start += DAY
    yield end
