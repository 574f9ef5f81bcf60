"""What the worker thinks in: rules, spikes, and firings that may become alerts. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, TypeAlias
from uuid import UUID

LimitType = Literal["daily_limit", "weekly_limit", "monthly_limit"]
BudgetWindow = Literal["daily", "weekly", "monthly"]
Frequency = Literal["once", "hourly", "daily", "every"]
Channel = Literal["slack", "webhook", "email"]
LIMIT_TYPES: tuple[LimitType, ...] = ("daily_limit", "weekly_limit", "monthly_limit")
# What ends by itself is told when it does.
TROUBLE_TYPES = ("unpriced_usage", "no_data", "pipeline_lag")
PICO_PER_CENT = 10**10


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of `alert_rule`, with its tenant's zone; without the webhook addresses, which only the sender reads."""

    rule_id: UUID
    name: str
    alert_type: str
    threshold_cents: int | None
    threshold_percent: Decimal | None
    tenant_id: str | None
    tenant_no: int | None
    tz: str
    scope: Mapping[str, str]
    frequency: Frequency
    silenced_until: datetime | None
    created_at: datetime
    emails: tuple[str, ...] = ()
    has_slack: bool = False
    has_webhook: bool = False


@dataclass(frozen=True, slots=True)
class SpikeRow:
    """A row of `spike`, and what its window costs by now."""

    spike_id: UUID
    tenant_id: str
    tz: str
    dimension: str
    value: str
    window_start: datetime
    window_end: datetime
    observed_pico_usd: int
    current_pico_usd: int
    usual_pico_usd: int
    cause: str
    evidence: Mapping[str, Any]
    detected_at: datetime
    # Which of the detector's rules found it.
    rule: str = "hour_over_usual"

    @property
    def series(self) -> str:
        return self.tenant_id if self.dimension == "tenant_id" else f"{self.tenant_id}/{self.dimension}={self.value}"


@dataclass(frozen=True, slots=True)
class LimitSpend:
    """What a limit rule's window has cost so far."""

    window_start: datetime
    window_end: datetime
    spent_pico_usd: int
    calls: int
    unpriced_events: int


@dataclass(frozen=True, slots=True)
class BudgetSpend:
    """How much of a budget its running window has used; `percent` is the threshold it is held against."""

    budget_window: BudgetWindow
    limit_pico_usd: int
    percent: int
    spend: LimitSpend


@dataclass(frozen=True, slots=True)
class Trouble:
    """A state that lasts until it ends: usage without a price, no usage, a pipeline that is behind.

    `since` makes it one occasion; `figures` are labels and values for people.
    """

    since: datetime
    title: str
    because: str
    figures: tuple[tuple[str, str], ...]


AlertKey: TypeAlias = tuple[UUID, str, datetime, str]


@dataclass(frozen=True, slots=True)
class Firing:
    """A rule and what breaks it. `key` is what makes it one alert, whoever finds it and however often."""

    rule: Rule
    tenant_id: str | None
    tz: str
    series: str
    # The start of the occasion it is told on: the window, or a part of it where the rule repeats itself.
    occasion: datetime
    threshold: str
    happened_at: datetime
    breached: bool
    cause: SpikeRow | LimitSpend | BudgetSpend | Trouble = field(compare=False)

    @property
    def key(self) -> AlertKey:
        return (self.rule.rule_id, self.series, self.occasion, self.threshold)
