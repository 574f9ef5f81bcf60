"""Ranges of time as parameters say them: instants, or local dates of a zone. Pure; the clock is an argument."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from services.query.api.problems import Complaints
from services.query.read.edges import midnight

DEFAULT_DAYS = 30
YEAR_MIN, YEAR_MAX = 2000, 2100
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)([Zz]|[+\- ]\d\d:?\d\d)?", re.ASCII)
_NO_MOMENT = "must be an instant (2026-10-01T08:00:00Z) or a local date (2026-10-01)"
_OUT_OF_YEARS = f"must lie between the years {YEAR_MIN} and {YEAR_MAX}"
_NO_ZONE = "not a time zone's IANA name, like Europe/Berlin"


@dataclass(frozen=True, slots=True)
class Range:
    """[start, end), aware, and the zone whose days are meant."""

    start: datetime
    end: datetime
    zone: ZoneInfo


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def is_zone(name: str) -> bool:
    """Whether it is an IANA name that is known here."""
    return name in _zones()


def known_zone(name: str) -> str:
    """The same name; ValueError where nobody knows it."""
    if not is_zone(name):
        raise ValueError(_NO_ZONE)
    return name


def said_moment(text: str) -> str:
    """The same text; ValueError where it is no moment in any zone."""
    try:
        moment = parse_moment(text, ZoneInfo("UTC"))
    except ValueError:
        raise ValueError(_NO_MOMENT) from None
    if moment is None:
        raise ValueError(_OUT_OF_YEARS)
    return text


def read_zone(name: str | None, default: ZoneInfo, complaints: Complaints) -> ZoneInfo:
    """The zone of a `tz` parameter."""
    if name is None:
        return default
    if is_zone(name):
        return ZoneInfo(name)
    complaints.add("tz", _NO_ZONE)
    return default


def read_range(
    names: tuple[str, str],
    texts: tuple[str | None, str | None],
    zone: ZoneInfo,
    now: datetime,
    complaints: Complaints,
    *,
    last_included: bool = False,
    days: int = DEFAULT_DAYS,
) -> Range:
    """The range between two parameters called `names`; what is missing is made up so that `days` local days are.

    A local date as the end is excluded, or with `last_included` is the last day of the range; an instant is excluded
    always.
    """
    start = _read_moment(names[0], texts[0], zone, complaints, next_day=False)
    end = _read_moment(names[1], texts[1], zone, complaints, next_day=last_included)
    today = now.astimezone(zone).date()
    if end is None:
        end = midnight(today + timedelta(days=1), zone)
        if start is not None and start >= end and texts[1] is None:
            complaints.add(names[0], "lies in the future")
    if start is None:
        last = (end - timedelta(microseconds=1)).astimezone(zone).date()
        start = midnight(last - timedelta(days=days - 1), zone)
    if not complaints.found and start >= end:
        complaints.add(names[1], f"must be after {names[0]}")
    return Range(start, end, zone)


def last_days(days: int, zone: ZoneInfo, now: datetime) -> Range:
    """The last `days` local days, today among them."""
    today = now.astimezone(zone).date()
    return Range(midnight(today - timedelta(days=days - 1), zone), midnight(today + timedelta(days=1), zone), zone)


def _read_moment(
    name: str, text: str | None, zone: ZoneInfo, complaints: Complaints, *, next_day: bool
) -> datetime | None:
    if text is None:
        return None
    try:
        moment = parse_moment(text, zone, next_day=next_day)
    except ValueError:
        complaints.add(name, _NO_MOMENT)
        return None
    if moment is None:
        complaints.add(name, _OUT_OF_YEARS)
    return moment


def parse_moment(text: str, zone: ZoneInfo, *, next_day: bool = False) -> datetime | None:
    """A moment in UTC; a date is its local midnight, or with `next_day` the one after. ValueError where the text is
    neither date nor instant, None outside of YEAR_MIN to YEAR_MAX."""
    if _DATE.fullmatch(text):
        day = date.fromisoformat(text)
        if not YEAR_MIN <= day.year < YEAR_MAX:
            return None
        return midnight(day + timedelta(days=1) if next_day else day, zone)
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError(text)
    # A "+" that was not escaped arrives as a blank.
    offset = (match[2] or "").replace(" ", "+").upper()
    moment = datetime.fromisoformat(match[1].upper().replace(" ", "T") + offset)
    if not YEAR_MIN <= moment.year < YEAR_MAX:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
