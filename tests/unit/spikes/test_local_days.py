"""Days and hours of the week as the tenant's clock shows them, also in the weeks after it was changed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from pricing.money import PICO_PER_USD
from services.processor.spike_baselines import local_usual_hour, usual_hour
from services.processor.spike_calendar import Calendar, calendar_of
from services.processor.spike_daily import by_day, day_excess, usual_day
from services.processor.spike_fast import earlier_spans
from services.processor.spike_hourly import hour_excess
from services.processor.spike_rules import day_looked_at, past_of
from services.processor.spike_slow_burn import slow_burn
from services.processor.spikes import HourTotals, Measures

BERLIN, KOLKATA, HAVANA = (Calendar(ZoneInfo(name)) for name in ("Europe/Berlin", "Asia/Kolkata", "America/Havana"))
HOUR, QUARTER = timedelta(hours=1), timedelta(minutes=15)


def used(at: datetime, usd: float, calls: int = 100) -> HourTotals:
    return HourTotals(at, Measures(round(usd * PICO_PER_USD), calls, calls, calls, calls))


def hours_between(start: datetime, end: datetime) -> list[datetime]:
    return [start + number * HOUR for number in range((end - start) // HOUR)]


@pytest.mark.parametrize(
    ("calendar", "day", "start", "hours"),
    [
        (BERLIN, date(2026, 7, 1), "2026-06-30T22:00", 24),
        (BERLIN, date(2026, 10, 25), "2026-10-24T22:00", 25),  # the clock is put back at three
        (BERLIN, date(2026, 3, 29), "2026-03-28T23:00", 23),
        (KOLKATA, date(2026, 10, 7), "2026-10-06T18:30", 24),
        (HAVANA, date(2026, 3, 8), "2026-03-08T05:00", 23),  # there is no midnight: the day begins at one
    ],
)
def test_a_day_begins_at_local_midnight_and_has_23_to_25_hours(
    calendar: Calendar, day: date, start: str, hours: int
) -> None:
    first = datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert (calendar.start_of(day), calendar.length_of(day)) == (first, hours * HOUR)
    assert calendar.day_of(first) == day and calendar.day_of(first - timedelta(seconds=1)) < day
    assert len(calendar.hours_of(day)) == hours


def test_only_zones_apart_from_utc_by_parts_of_an_hour_have_hours_that_two_days_share() -> None:
    first, last = date(2026, 10, 5), date(2026, 10, 7)
    assert BERLIN.split_hours(first, last) == []
    assert KOLKATA.split_hours(first, last) == [datetime(2026, 10, day, 18, tzinfo=UTC) for day in (4, 5, 6)]


def test_a_zone_nobody_knows_counts_as_utc() -> None:
    assert calendar_of("Mars/Olympus").start_of(date(2026, 10, 7)) == datetime(2026, 10, 7, tzinfo=UTC)


def test_today_is_held_against_local_days_the_one_with_25_hours_too() -> None:
    # $1 in each hour from Sunday 18 October to Sunday 25 October, Berlin's days; then $3 an hour.
    start, monday = BERLIN.start_of(date(2026, 10, 18)), BERLIN.start_of(date(2026, 10, 26))
    days = by_day([used(hour, 1) for hour in hours_between(start, monday)], BERLIN)
    assert [measures.cost_pico_usd // PICO_PER_USD for measures in days.values()] == [24] * 7 + [25]
    today = used(monday, 73).measures
    usual = usual_day(date(2026, 10, 26), days)
    assert usual is not None
    excess = day_excess(date(2026, 10, 26), today, usual, BERLIN)
    assert excess is not None
    # The 7 days before: 19 to 25 October, 6 of 24 hours and one of 25.
    assert excess.usual_pico_usd == (6 * 24 + 25) * PICO_PER_USD // 7
    assert (excess.observed.hour, excess.window) == (monday, 24 * HOUR)
    assert len(excess.basis) == 6 * 24 + 25 and excess.usual_windows == 7
    # By UTC's midnight an hour of it would be yesterday's.
    assert datetime(2026, 10, 25, 23, tzinfo=UTC) == monday


def test_a_week_begins_on_the_local_monday() -> None:
    today = date(2026, 10, 28)
    rows = []
    for hour in hours_between(BERLIN.start_of(today - timedelta(days=28)), BERLIN.start_of(today)):
        recent = BERLIN.day_of(hour) >= today - timedelta(days=3)
        rows.append(used(hour, 4 if recent else 1))
    excess = slow_burn(today, by_day(rows, BERLIN), BERLIN)
    assert excess is not None
    assert excess.observed.hour == datetime(2026, 10, 25, 23, tzinfo=UTC) and excess.window == 168 * HOUR
    # Sunday had 25 hours.
    assert (excess.measured_from, excess.measured) == (BERLIN.start_of(date(2026, 10, 25)), 73 * HOUR)


@pytest.mark.parametrize(
    ("calendar", "monday"),
    [
        (BERLIN, date(2026, 10, 26)),
        (BERLIN, date(2026, 3, 30)),
        (Calendar(ZoneInfo("America/New_York")), date(2026, 11, 2)),
    ],
)
def test_work_that_begins_at_eight_is_usual_at_eight_after_the_clock_was_changed(
    calendar: Calendar, monday: date
) -> None:
    start = calendar.start_of(monday)
    history = [
        used(hour, 10 if 8 <= hour.astimezone(calendar.zone).hour < 18 else 1)
        for hour in hours_between(start - timedelta(days=29), start + 30 * HOUR)
    ]
    false_by_utc = 0
    for hour in hours_between(start, start + 24 * HOUR):
        now = next(past for past in history if past.hour == hour)
        before = [past for past in history if past.hour < hour]
        usual, by_utc = local_usual_hour(hour, before, calendar), usual_hour(hour, before)
        assert usual is not None and by_utc is not None
        assert hour_excess(now, usual) is None
        assert all(basis in {past.hour for past in before} for basis in usual.basis)
        assert {basis.astimezone(calendar.zone).hour for basis in usual.basis} == {hour.astimezone(calendar.zone).hour}
        false_by_utc += hour_excess(now, by_utc) is not None
    assert false_by_utc == 1, "by UTC's hours the first or the last hour of work would be an alarm"


def test_the_same_hour_of_other_days_is_looked_at_for_bursts_by_the_local_clock() -> None:
    start = datetime(2026, 10, 26, 8, 5, tzinfo=UTC)  # nine in Berlin; the clock was put back the day before
    spans = earlier_spans(start, BERLIN)
    assert spans[0] == (datetime(2026, 10, 25, 7, 45, tzinfo=UTC), datetime(2026, 10, 25, 9, 15, tzinfo=UTC))
    assert spans[1] == (datetime(2026, 10, 24, 6, 45, tzinfo=UTC), datetime(2026, 10, 24, 8, 15, tzinfo=UTC))


def test_an_hour_that_two_days_share_is_divided_between_them() -> None:
    # Midnight in Kolkata is 18:30 UTC.
    hour, midnight = datetime(2026, 10, 6, 18, tzinfo=UTC), datetime(2026, 10, 6, 18, 30, tzinfo=UTC)
    before, after = date(2026, 10, 6), date(2026, 10, 7)
    assert day_looked_at(hour, midnight - timedelta(minutes=1), KOLKATA) == (before, hour, midnight)
    assert day_looked_at(hour, midnight, KOLKATA) == (after, midnight, hour + HOUR)
    assert day_looked_at(hour - HOUR, midnight, KOLKATA) == (before, hour - HOUR, hour)
    rows = [used(hour + number * QUARTER, 10**number) for number in range(4)]
    past = past_of(hour + HOUR, after, rows, KOLKATA)
    assert by_day(rows, KOLKATA)[before] == used(hour, 11, 200).measures
    assert past.today == used(hour, 1_100, 200).measures


def test_in_the_first_hour_of_a_day_what_comes_late_for_the_last_hour_is_yesterdays() -> None:
    midnight = BERLIN.start_of(date(2026, 10, 7))
    assert day_looked_at(midnight - HOUR, midnight + timedelta(minutes=9), BERLIN)[0] == date(2026, 10, 6)
    assert day_looked_at(midnight, midnight - timedelta(minutes=3), BERLIN)[0] == date(2026, 10, 7)
