"""A small week to make views of: two providers, two features, one of which grew."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from services.query.pages.figures import Budget, Item, OverviewFigures, PayrollFigures, Point, Sums
from services.query.pages.ranges import resolve

USD = 10**12
NOW = datetime(2026, 11, 22, 14, 2, 7, tzinfo=UTC)
ZONE = ZoneInfo("UTC")
WEEK = resolve("7d", NOW, ZONE)
BUCKETS = tuple(datetime(2026, 11, 16, tzinfo=UTC) + timedelta(days=i) for i in range(7))


def spent(usd: int, calls: int = 10, prompt: int = 1_000, completion: int = 100) -> Sums:
    return Sums(
        cost_pico_usd=usd * USD,
        calls=calls,
        requests=calls,
        prompt_tokens=prompt,
        completion_tokens=completion,
        latency_ms_avg=Decimal(800),
    )


def overview(**changes: object) -> OverviewFigures:
    base = OverviewFigures(
        shown=WEEK,
        tenant_id="acme-corp",
        read_at=NOW,
        data_through=NOW,
        has_events=True,
        total=spent(30, 30, 30_000, 3_000),
        before=spent(20, 20, 20_000, 2_000),
        runs=3,
        runs_before=2,
        month_pico_usd=90 * USD,
        today_pico_usd=5 * USD,
        buckets=BUCKETS,
        series=(
            Point(BUCKETS[0], "openai", 10 * USD, 10),
            Point(BUCKETS[0], "anthropic", 5 * USD, 5),
            Point(BUCKETS[6], "openai", 15 * USD, 15),
        ),
        providers=(Item("openai", spent(25)), Item("anthropic", spent(5))),
        models=(Item("gpt-4o", spent(25), sub="openai"), Item("claude-haiku-4-5", spent(5), sub="anthropic")),
        agents=(Item("dexter", spent(30), spent(20), "Dexter"),),
        tenants=(),
        features=(
            Item("chat", spent(25, 10, 17_100, 1_000), spent(16, 10, 9_000, 1_000)),
            Item("summarise", spent(5), spent(4)),
        ),
        customers=(Item("alice", spent(15)), Item("bob", spent(15))),
        hours=tuple(
            Point(NOW.replace(minute=0, second=0) - timedelta(hours=h), "", 0, 1, 50, 5) for h in range(71, -1, -1)
        ),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def budget(agent_id: str, limit_usd: int, spent_usd: int) -> Budget:
    start, end = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    return Budget(agent_id, "monthly", limit_usd * USD, spent_usd * USD, start, end)


def payroll(*budgets: Budget) -> PayrollFigures:
    return PayrollFigures(
        shown=WEEK,
        tenant_id="acme-corp",
        read_at=NOW,
        data_through=NOW,
        total=spent(60, 60),
        before=spent(50, 50),
        agents=(
            Item("dexter", spent(40), spent(50), "Dexter"),
            Item("cassie", spent(20), spent(0, 0), "Cassie"),
            Item("gone", Sums(), spent(9), "Gone"),
        ),
        providers=(Item("openai", spent(60)),),
        channels=(Item("slack", spent(60)),),
        customers=(),
        budgets=budgets,
        features_of={"dexter": ("chat", "rag", "plan", "search")},
        main_model_of={"dexter": "gpt-4o"},
    )
