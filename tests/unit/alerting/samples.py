"""A rule, a spike and a limit as the tests know them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from services.alerting.firings import limit_firing, spike_firings
from services.alerting.rules import Firing, LimitSpend, Rule, SpikeRow

NOON = datetime(2026, 10, 7, 12, tzinfo=UTC)
NOW = NOON + timedelta(minutes=20)
USD = 10**12

SPIKE_RULE = Rule(
    rule_id=UUID(int=1),
    name="Cost Spike Alert",
    alert_type="cost_spike",
    threshold_cents=None,
    threshold_percent=Decimal(200),
    tenant_id=None,
    tenant_no=None,
    tz="UTC",
    scope={},
    frequency="once",
    silenced_until=None,
    created_at=NOON - timedelta(days=30),
)
LIMIT_RULE = replace(
    SPIKE_RULE,
    rule_id=UUID(int=2),
    name="Daily Global Spend Alert",
    alert_type="daily_limit",
    threshold_cents=10_000,
    threshold_percent=None,
)
SPIKE = SpikeRow(
    spike_id=UUID(int=3),
    tenant_id="acme-corp",
    tz="UTC",
    dimension="feature",
    value="chat",
    window_start=NOON,
    window_end=NOON + timedelta(hours=1),
    observed_pico_usd=3_780_000_000_000,
    current_pico_usd=3_780_000_000_000,
    usual_pico_usd=980_000_000_000,
    cause="chat at acme-corp costs 3.9 × its usual hour: prompts grew from 900 to 3,700 tokens.",
    evidence={
        "drivers": [{"name": "prompt_length", "factor": 3.86, "phrase": "prompts grew from 900 to 3,700 tokens"}],
        "usual_hours": 48,
        "calls": {"now": 400, "usual": 400.0},
        "prompt_tokens_per_call": {"now": 3_700.0, "usual": 900.0},
        "completion_tokens_per_call": {"now": 20.0, "usual": 20.0},
        "retry_share": {"now": 0.0, "usual": 0.0},
        "cost_per_call_usd": {"now": "0.00945", "usual": "0.00245"},
        "model_mix": {"gpt-4o": {"now": 1.0, "usual": 1.0}},
        "contributors": [
            {"agent_id": "helper", "model": "gpt-4o", "cost_usd": "3", "usual_usd": "0.5", "share_of_growth": 0.8929},
            {"agent_id": "", "model": "gpt-4o", "cost_usd": "0.78", "usual_usd": "0.48", "share_of_growth": 0.1071},
        ],
    },
    detected_at=NOW,
)
SPEND = LimitSpend(NOON - timedelta(hours=12), NOON + timedelta(hours=12), 104 * USD + 200_000_000_000, 12_345, 0)


def spike_firing(rule: Rule = SPIKE_RULE, **changes: Any) -> Firing:  # noqa: ANN401
    (firing,) = spike_firings([rule], [replace(SPIKE, **changes)])
    return firing


def limit(rule: Rule = LIMIT_RULE, spend: LimitSpend = SPEND, now: datetime = NOW) -> Firing:
    return limit_firing(rule, spend, now)
