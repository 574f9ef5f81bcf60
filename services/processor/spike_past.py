"""What a worker remembers of the time before an open hour: of each series its usual hour, its days, today so far.

Remembering only saves reading. A tenant's memory of an hour is dropped when this worker touches an earlier hour of it,
and after a while anyway, because another worker may have; none is kept while a series is young or hours wait for
refresh. A few KB a series.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from services.processor.spike_baselines import HISTORY
from services.processor.spike_calendar import DAY, UTC_DAYS, Calendar
from services.processor.spike_rules import Past, past_of
from services.processor.spike_totals import Connection, Series, dirty_hours, histories
from services.processor.spikes import SeriesHour, hour_of

_KEPT = timedelta(minutes=30)
# While a backfill may still be coming in.
_KEPT_YOUNG = timedelta(seconds=20)


@dataclass(slots=True)
class UsualHours:
    """A worker's memory. Not for several threads."""

    _kept: dict[tuple[int, datetime, date], tuple[datetime, Mapping[Series, Past]]] = field(default_factory=dict)

    def of(
        self,
        connection: Connection,
        tenant_no: int,
        hour: datetime,
        now: datetime,
        day: date | None = None,
        calendar: Calendar = UTC_DAYS,
    ) -> Mapping[Series, Past]:
        """The past of every series of the tenant before `hour` of its `day`, as of stream time `now`."""
        day = calendar.day_of(hour) if day is None else day
        self._kept = {key: kept for key, kept in self._kept.items() if now < kept[0]}
        kept = self._kept.get((tenant_no, hour, day))
        if kept is not None:
            return kept[1]
        first = day - HISTORY
        start, end = hour_of(calendar.start_of(first)), max(hour, calendar.start_of(day))
        read = {
            series: past_of(hour, day, rows, calendar)
            for series, rows in histories(connection, tenant_no, start, end, calendar.split_hours(first, day + DAY))
        }
        if not dirty_hours(connection, start, end):
            old_enough = any(past.usual is not None for past in read.values())
            self._kept[tenant_no, hour, day] = (now + (_KEPT if old_enough else _KEPT_YOUNG), read)
        return read

    def forget(self, touched: Iterable[SeriesHour]) -> None:
        """What was touched in an hour is the past of later ones."""
        earliest: dict[int, datetime] = {}
        for series in touched:
            earliest[series.tenant_no] = min(series.hour, earliest.get(series.tenant_no, series.hour))
        for key in [key for key in self._kept if key[0] in earliest and key[1] > earliest[key[0]]]:
            del self._kept[key]
