"""A question with an edge that retention let go is refused, naming what can be answered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.contracts.rollups import FAMILIES
from services.query.read.planner import plan, plan_latency
from services.query.read.question import CostQuery, NotKept

NOW = datetime(2026, 11, 1, tzinfo=UTC)
# As the defaults have it: single calls and minutes 120 days, quarters 400, hours 1,100, days forever.
FLOORS = {
    "usage_event": NOW - timedelta(days=120),
    **{f"{name}_minute": NOW - timedelta(days=120) for name in ("usage",)},
    "usage_15m": NOW - timedelta(days=400),
    **{f"{rollup.name}_hour": NOW - timedelta(days=1_100) for rollup in FAMILIES},
}
KATHMANDU = ZoneInfo("Asia/Kathmandu")
LONG_AGO = datetime(2026, 3, 1, tzinfo=UTC)


def test_whole_days_of_years_ago_are_answered() -> None:
    query = CostQuery((7,), datetime(2020, 1, 1, tzinfo=UTC), NOW, granularity="day", group_by=("feature",))
    assert {segment.source for segment in plan(query, (), floors=FLOORS).segments} == {"day"}


def test_a_moment_inside_what_is_kept_is_answered() -> None:
    query = CostQuery((7,), NOW - timedelta(days=100, minutes=7, seconds=3), NOW, group_by=("feature",))
    assert plan(query, (), floors=FLOORS).segments[0].source == "raw"


def test_a_first_edge_that_is_gone_names_the_two_beside_it() -> None:
    query = CostQuery((7,), LONG_AGO + timedelta(hours=5, minutes=7), NOW, group_by=("feature",))
    with pytest.raises(NotKept, match=r"quarters of an hour.*2026-03-01T05:00:00Z and 2026-03-01T05:15:00Z") as why:
        plan(query, (), floors=FLOORS)
    assert why.value.parameter == "from"


def test_a_last_edge_that_is_gone_names_the_two_beside_it() -> None:
    start = datetime(2022, 1, 1, tzinfo=UTC)
    query = CostQuery((7,), start, start + timedelta(days=3, hours=2), group_by=("feature",))
    with pytest.raises(NotKept, match=r"days in UTC.*2022-01-04T00:00:00Z and 2022-01-05T00:00:00Z") as why:
        plan(query, (), floors=FLOORS)
    assert why.value.parameter == "to"


def test_a_range_inside_one_bucket_names_the_bucket() -> None:
    query = CostQuery((7,), LONG_AGO + timedelta(minutes=3), LONG_AGO + timedelta(minutes=4), group_by=("feature",))
    with pytest.raises(NotKept, match="2026-03-01T00:00:00Z, to 2026-03-01T00:15:00Z"):
        plan(query, (), floors=FLOORS)


def test_local_days_that_begin_inside_the_sums_that_are_kept_are_refused_by_name() -> None:
    # A day of Kathmandu begins at a quarter past: hours alone can't tell it.
    start = datetime(2025, 1, 1, tzinfo=UTC)
    query = CostQuery((7,), start, start + timedelta(days=30), KATHMANDU, "day", group_by=("feature",))
    with pytest.raises(NotKept, match="Asia/Kathmandu") as why:
        plan(query, (), floors=FLOORS)
    assert why.value.parameter == "granularity"
    recent = CostQuery((7,), NOW - timedelta(days=300), NOW, KATHMANDU, "day", group_by=("feature",))
    assert plan(recent, (), floors=FLOORS).source == "usage"


def test_another_rollup_that_keeps_the_edge_is_taken() -> None:
    # Channels are summed by the hour at the finest, and would need single calls for a quarter past.
    query = CostQuery((7,), LONG_AGO + timedelta(minutes=15), NOW)
    made = plan(query, (), floors=FLOORS)
    assert (made.source, made.segments[0].source, made.segments[0].wide) == ("provider", "15m", True)


def test_what_only_single_calls_tell_is_refused_where_they_are_gone() -> None:
    query = CostQuery((7,), LONG_AGO, LONG_AGO + timedelta(days=20), group_by=("customer_id", "provider"))
    with pytest.raises(NotKept, match=r"single calls, which are kept from 2026-07-04T00:00:00Z on"):
        plan(query, (), floors=FLOORS)
    percentiles = CostQuery((7,), LONG_AGO + timedelta(minutes=7), NOW, group_by=("feature",))
    with pytest.raises(NotKept):
        plan_latency(percentiles, (), fetch_max=10, floors=FLOORS)


def test_a_mark_below_what_it_would_be_built_from_changes_nothing() -> None:
    mark = LONG_AGO + timedelta(hours=3)
    query = CostQuery((7,), LONG_AGO, LONG_AGO + timedelta(days=1), group_by=("feature",))
    assert [segment.source for segment in plan(query, (mark,), floors=FLOORS).segments] == ["day"]
