"""The SQL of typical questions, pinned. After a wanted change run with SPENDSTREAM_WRITE_GOLDEN=1 and read the diff."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from services.query.read.planner import Plan, plan, plan_latency
from services.query.read.question import CostQuery, QueryRefused

HERE = Path(__file__).parent
START, END = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
BERLIN, KATHMANDU = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kathmandu")
DIRTY = (datetime(2026, 10, 20, 10, 15, tzinfo=UTC), datetime(2026, 10, 20, 10, 30, tzinfo=UTC))
MONEY = ("cost_usd",)

CASES: dict[str, tuple[CostQuery, tuple[datetime, ...], int | None]] = {
    "totals_of_a_month": (CostQuery((7,), START, END), (), None),
    "totals_while_a_bucket_waits": (CostQuery((7,), START, END, group_by=("feature",)), DIRTY, None),
    "models_of_all_tenants": (CostQuery(None, START, END, group_by=("tenant_id", "model"), measures=MONEY), (), None),
    "ragged_ends": (
        CostQuery((7,), START + timedelta(hours=5, minutes=7, seconds=3), END - timedelta(minutes=50),
                  group_by=("agent_id",), measures=MONEY), (), None,
    ),
    "days_in_utc": (CostQuery((7,), START, END, granularity="day", measures=MONEY), (), 20_000),
    "days_in_berlin": (
        CostQuery((7,), START - timedelta(hours=2), END - timedelta(hours=1), BERLIN, "day", measures=MONEY), (),
        20_000,
    ),
    "months_in_kathmandu": (
        CostQuery((7,), datetime(2026, 6, 30, 18, 15, tzinfo=UTC), datetime(2026, 10, 31, 18, 15, tzinfo=UTC),
                  KATHMANDU, "month", group_by=("provider",), measures=MONEY), (), 20_000,
    ),
    "customers_of_a_tenant": (CostQuery((7,), START, END, group_by=("customer_id",), limit=20, offset=40), (), None),
    "users_while_a_bucket_waits": (CostQuery((7,), START, END, group_by=("user_id",), measures=MONEY), DIRTY, None),
    "hours_by_provider": (
        CostQuery((7,), START, END, granularity="hour", group_by=("provider",),
                  measures=("cost_usd", "latency_ms_avg")), DIRTY, 20_000,
    ),
    "two_dimensions_no_rollup_has": (
        CostQuery((7,), START, END, group_by=("customer_id", "provider"), filters=(("status", ("ok", "error")),),
                  measures=("cost_usd", "latency_ms_avg"), order_by="latency_ms_avg"), (), None,
    ),
}  # fmt: skip


def told(made: Plan) -> str:
    """A plan as text one can review."""
    head = [f"-- source: {made.source}"]
    segments = [
        f"-- {s.source:>6} {s.start:%Y-%m-%d %H:%M:%S} .. {s.end:%Y-%m-%d %H:%M:%S}{', wide' if s.wide else ''}"
        for s in made.segments
    ]
    shown = segments if len(segments) <= 12 else [*segments[:6], f"-- … {len(segments) - 12} more", *segments[-6:]]
    values = []
    for name, value in made.statement.parameters.items():
        text = f"{len(value)} values, {value[0]} .. {value[-1]}" if isinstance(value, list) else str(value)
        values.append(f"-- {name}: {text}")
    return "\n".join([*head, *shown, *values, made.statement.sql, ""])


def compare(name: str, text: str) -> None:
    file = HERE / f"{name}.sql"
    if os.environ.get("SPENDSTREAM_WRITE_GOLDEN"):
        file.write_text(text)
    assert file.read_text() == text


@pytest.mark.parametrize("name", CASES)
def test_the_sql_of_a_question_is_as_reviewed(name: str) -> None:
    query, dirty, fetch_max = CASES[name]
    compare(name, told(plan(query, dirty, adjusted=name == "two_dimensions_no_rollup_has", fetch_max=fetch_max)))


def test_the_sql_of_percentiles_is_as_reviewed() -> None:
    query = CostQuery((7,), START, END, group_by=("feature",), measures=("latency_ms_p95",))
    compare("percentiles_by_feature", told(plan_latency(query, (), fetch_max=100)))


def test_percentiles_by_what_the_histogram_lacks_come_from_raw_events() -> None:
    query = CostQuery((7,), START, END, group_by=("provider",), measures=("latency_ms_p95",))
    compare("percentiles_by_provider", told(plan_latency(query, (), fetch_max=100)))


def test_what_only_raw_events_know_is_refused_beyond_35_days_saying_what_would_work() -> None:
    query = CostQuery((7,), START, END + timedelta(days=30), group_by=("customer_id", "provider"))
    with pytest.raises(
        QueryRefused, match=r"at most 35 days; for longer ranges stay within one of: .*customer_id"
    ) as told_why:
        plan(query, ())
    assert told_why.value.parameter == "group_by"


def test_no_value_of_a_question_gets_into_the_text_but_the_tenant() -> None:
    evil = "'; DROP TABLE usage_event; --"
    query = CostQuery((7,), START, END, group_by=("feature",), filters=(("model", (evil,)),))
    statement = plan(query, ()).statement
    assert evil not in statement.sql
    assert [evil] in statement.parameters.values()
    assert "tenant_no = 7" in statement.sql
