"""The operator portal, cost tracking, administration."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Generic, Literal

from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from services.query.api.described.common import Count, Described, Milliseconds, Row, Usd, UsdNumber


class Camel(Described):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)


class Success(Described, Generic[Row]):
    success: Literal[True]
    data: Row


class SuccessPage(Camel, Generic[Row]):
    """One page of a list. `nextCursor` is null on the last."""

    success: Literal[True]
    data: list[Row]
    next_cursor: str | None


class PortalAgent(Described):
    agent_id: str
    agent_name: str
    prompt_tokens: Count
    completion_tokens: Count
    total_tokens: Count
    cost_usd: UsdNumber
    llm_call_count: Count


class PortalProvider(Described):
    provider: str
    cost_usd: UsdNumber
    call_count: Count


class PortalChannel(Described):
    channel: str
    message_count: Count


BudgetStatus = Literal["ok", "warning", "exceeded"]


class PortalBudget(Described):
    agent_id: str
    agent_name: str
    budget_limit_usd: float | None
    current_cost_usd: UsdNumber
    status: BudgetStatus


class Cell(Described):
    cost: UsdNumber
    tokens: Count
    requests: Count


class DayCell(Cell):
    date: date


class Summary(Camel):
    total_cost: UsdNumber
    total_tokens: Count
    total_requests: Count
    successful_requests: Count
    failed_requests: Count
    avg_response_time: Milliseconds
    unpriced_events: Count


class FullSummary(Summary):
    cost_by_model: dict[str, Cell]
    cost_by_agent: dict[str, Cell]
    daily_breakdown: list[DayCell]


class AgentSummary(FullSummary):
    agent_id: str


class MonthlyReport(FullSummary):
    month: str


class Trends(Described):
    last7Days: Summary  # noqa: N815
    last30Days: Summary  # noqa: N815
    percentageChange: float  # noqa: N815
    trend: Literal["up", "down", "stable"]


class CallOut(Camel):
    event_id: str
    request_id: str
    run_id: str
    attempt: Count
    occurred_at: datetime
    tenant_id: str
    provider: str
    model: str
    feature: str
    agent_id: str
    user_id: str
    customer_id: str
    prompt_tokens: Count
    completion_tokens: Count
    total_tokens: Count
    cost: float | None
    latency_ms: Count | None
    status: str


class ProviderSpend(Camel):
    provider: str
    cost_usd: UsdNumber
    requests: Count


class ModelSpend(Camel):
    model: str
    cost_usd: UsdNumber
    requests: Count


class Global(Camel):
    month_to_date_usd: UsdNumber
    today_usd: UsdNumber
    total_cost_usd: UsdNumber
    total_requests: Count
    avg_latency_ms: Milliseconds
    by_provider: list[ProviderSpend]
    by_model: list[ModelSpend]
    unpriced_events: Count


class OrgRow(Camel):
    organization_id: str
    name: str
    cost_usd: UsdNumber
    requests: Count
    total_tokens: Count


class ModelRowCamel(Camel):
    provider: str
    model: str
    tier: str
    cost_usd: UsdNumber
    requests: Count
    prompt_tokens: Count
    completion_tokens: Count
    avg_latency_ms: Milliseconds


class TrendPoint(Camel):
    bucket: datetime
    cost_usd: UsdNumber
    requests: Count


class ProviderTrendPoint(TrendPoint):
    provider: str


class OrgDetail(Camel):
    organization_id: str
    name: str
    cost_usd: UsdNumber
    requests: Count
    models: list[ModelRowCamel]
    trend: list[TrendPoint]
    recent_requests: list[CallOut]


class Aggregated(Camel):
    period_type: Literal["hourly", "daily"]
    buckets_marked: Count


class ParkedChannel(Camel):
    channel: str
    target: str
    reason: str
    parked_at: datetime


class AlertRuleOut(Camel):
    id: str
    name: str
    alert_type: str
    threshold_cents: int | None
    threshold_percent: float | None
    organization_id: str | None
    scope: dict[str, str]
    notification_emails: list[str]
    slack_webhook: str | None
    webhook_url: str | None
    notification_frequency: str
    is_active: bool
    silenced_until: datetime | None
    created_at: datetime
    updated_at: datetime
    parked_channels: list[ParkedChannel]


class NotificationOut(Camel):
    channel: str
    state: str
    attempts: Count
    last_error: str | None
    sent_at: datetime | None


class AlertOut(Camel):
    id: str
    alert_id: str
    name: str
    alert_type: str
    organization_id: str | None
    series: str
    title: str
    summary: str
    state: str
    threshold: str
    window_start: datetime
    fired_at: datetime
    resolved_at: datetime | None
    notifications: list[NotificationOut]


class Queued(Described):
    queued: Count
    channels: list[str]


class TenantOut(Described):
    tenant_id: str
    name: str
    tz: str
    created_at: datetime


class KeyOut(Described):
    id: str
    role: str
    tenant_id: str | None
    name: str
    created_at: datetime
    revoked_at: datetime | None


class NewKeyOut(Described):
    """`key` is shown this once."""

    id: str
    key: str
    role: str
    tenant_id: str | None
    name: str


class BudgetOut(Described):
    id: str
    tenant_id: str | None
    scope: dict[str, str]
    window: Literal["daily", "weekly", "monthly"]
    limit_usd: Usd
    thresholds: list[int]
    created_at: datetime


class BudgetStateOut(BudgetOut):
    spent_usd: Usd
    status: BudgetStatus
    resets_at: datetime


class BudgetCheck(Described):
    status: BudgetStatus
    remaining_usd: Usd | None
    resets_at: datetime | None
    as_of: datetime
    budget_id: str | None


class AdminLogRow(Described):
    entry_id: int
    at: datetime
    actor_key_id: str
    actor_name: str
    action: str
    target: str
    detail: dict[str, Any]


class Health(Described):
    status: str


class NotReady(Health):
    error: str
