"""Where local buckets begin: minutes, hours, days, weeks, months of a zone as moments. Pure.

Days of 23 and 25 hours, zones of +05:45 and midnights that don't exist come out right because every edge is asked of
the zone itself; nothing is added up across a change of the clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from services.query.read.question import Granularity, QueryRefused

BUCKETS_MAX = 5_000
_SECONDS: dict[Granularity, int] = {"minute": 60, "hour": 3_600}
# Less than any bucket lasts, to refuse endless ranges before counting them out.
_LEAST_SECONDS: dict[Granularity, int] = {
    "minute": 60,
    "hour": 1_800,
    "day": 82_000,
    "week": 600_000,
    "month": 2_400_000,
}
_COARSER: dict[Granularity, str] = {
    "minute": "hour, day, week or month",
    "hour": "day, week or month",
    "day": "week or month",
    "week": "month",
    "month": "none",
}


@dataclass(frozen=True, slots=True)
class Buckets:
    """`edges` has one moment more than there are buckets, in UTC, strictly rising, first and last the range's ends.

    `labels` are the local starts of the buckets; the first lies before the range where that begins inside a bucket.
    """

    edges: tuple[datetime, ...]
    labels: tuple[datetime, ...]


def local_buckets(start: datetime, end: datetime, granularity: Granularity, zone: ZoneInfo) -> Buckets:
    """The buckets of [start, end); QueryRefused where they are more than BUCKETS_MAX."""
    if (end - start).total_seconds() / _LEAST_SECONDS[granularity] > 2 * BUCKETS_MAX:
        raise _too_many(granularity)
    first = bucket_start(start, granularity, zone)
    edges, labels = [start.astimezone(UTC)], [first.astimezone(zone)]
    for edge in _starts_after(first, granularity, zone):
        if edge >= end:
            break
        if edge > edges[-1]:
            edges.append(edge)
            labels.append(edge.astimezone(zone))
        if len(edges) > BUCKETS_MAX:
            raise _too_many(granularity)
    return Buckets((*edges, end.astimezone(UTC)), tuple(labels))


def bucket_start(moment: datetime, granularity: Granularity, zone: ZoneInfo) -> datetime:
    """The start of the local bucket that `moment` lies in, in UTC."""
    local = moment.astimezone(zone)
    if granularity in _SECONDS:
        minutes = local.minute if granularity == "hour" else 0
        into = timedelta(minutes=minutes, seconds=local.second, microseconds=local.microsecond)
        return moment.astimezone(UTC) - into
    return midnight(_first_date(local.date(), granularity), zone)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of a local day, in UTC; where the clock skips midnight that is the moment it skips."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def _first_date(day: date, granularity: Granularity) -> date:
    if granularity == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if granularity == "month" else day


def _starts_after(first: datetime, granularity: Granularity, zone: ZoneInfo) -> Iterator[datetime]:
    width = _SECONDS.get(granularity)
    if width is not None:
        yield from _clock_starts_after(first, width, zone)
        return
    day = first.astimezone(zone).date()
    while True:
        day = _next_date(day, granularity)
        yield midnight(day, zone)


def _clock_starts_after(first: datetime, width: int, zone: ZoneInfo) -> Iterator[datetime]:
    edge = first
    while True:
        # Asked anew each time: a clock that moves by half an hour shifts where the next hour begins.
        local = edge.astimezone(zone)
        edge += timedelta(seconds=width - (local.minute * 60 + local.second) % width)
        yield edge


def _next_date(day: date, granularity: Granularity) -> date:
    if granularity == "month":
        return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    return day + timedelta(days=7 if granularity == "week" else 1)


def _too_many(granularity: Granularity) -> QueryRefused:
    return QueryRefused(
        "granularity",
        f"more than {BUCKETS_MAX} buckets: ask for a shorter range or a coarser granularity ({_COARSER[granularity]})",
    )
