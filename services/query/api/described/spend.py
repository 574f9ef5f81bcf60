"""Spend: /api/v1/costs, who and what spends, drill down, prices, audit."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, Literal

from pydantic import Field, create_model

from services.query.api.described.common import (
    Count,
    Described,
    Milliseconds,
    Percent,
    Row,
    Share,
    Usd,
    dimensions,
    figures,
    left_out,
    optional,
)

Totals: Any = create_model("Totals", __base__=Described, **figures())


class Envelope(Described, Generic[Row]):
    """Rows with the totals over all there are, and the state of the stream they were read in."""

    data: list[Row]
    totals: Totals
    data_through: datetime | None
    unpriced_events: Count
    late_events: Count
    next_cursor: str | None


CostRow: Any = create_model("CostRow", __base__=Described, bucket=optional(datetime), **dimensions(), **figures())


class _Spent(Described):
    cost_usd: Usd
    calls: Count
    prompt_tokens: Count
    completion_tokens: Count
    total_tokens: Count
    avg_cost_per_call_usd: Usd
    percent_of_total: Percent


class AgentRow(_Spent):
    agent_id: str
    agent_name: str


class ProviderRow(_Spent):
    provider: str


class ModelRow(_Spent):
    model: str


class ChannelRow(_Spent):
    channel: str


class UserRow(_Spent):
    user_id: str


class FeatureRow(_Spent):
    feature: str
    latency_ms_avg: Milliseconds
    retry_count: Count
    cache_hits: Count


class CustomerRow(Described):
    total_cost_usd: Usd
    customer_id: str
    calls: Count
    prompt_tokens: Count
    completion_tokens: Count
    total_tokens: Count
    avg_cost_per_call_usd: Usd
    percent_of_total: Percent


class RequestRow(Described):
    occurred_at: datetime
    request_id: str
    tenant_id: str
    model: str
    total_tokens: Count
    cost_usd: Usd
    latency_ms: Count | None
    status: str
    attempts: Count


class RequestSummary(Described):
    request_id: str
    first_seen: datetime
    last_seen: datetime
    feature: str
    tenant_id: str
    user_id: str
    attempts: Count
    prompt_tokens: Count
    completion_tokens: Count
    total_tokens: Count
    cost_usd: Usd
    wasted_cost_usd: Usd
    retry_count: Count
    prompt_share: Share
    unpriced_events: Count


class Attempt(Described):
    attempt: Count
    occurred_at: datetime
    provider: str
    model: str
    region: str
    prompt_tokens: Count
    completion_tokens: Count
    total_tokens: Count
    cost_usd: Usd
    attempt_cost_share: Share
    retry_count: Count
    latency_ms: Count | None
    status: str
    cache_hit: bool
    prompt_template_id: str
    dearest: bool


class RequestDetail(Described):
    summary: RequestSummary
    attempts: list[Attempt]


class RunRow(Described):
    run_id: str
    tenant_id: str
    agent_id: str
    started_at: datetime
    ended_at: datetime
    calls: Count
    cost_usd: Usd


class SectionNode(Described):
    """A section of a run with all below it."""

    name: str
    path: str
    calls: Count
    cost_usd: Usd
    children: list[SectionNode]


class RunDetail(RunRow):
    tree: SectionNode


class PriceRow(Described):
    """One dated entry of the price book; prices in USD."""

    provider: str
    model: str
    tier: str
    entry_id: str
    effective_from: datetime | None
    effective_until: datetime | None
    usd_per_million_tokens: dict[str, Usd]
    usd_per_unit: dict[str, Usd]
    service_tiers: list[str]
    source: str
    checked: Any


class RefusedBook(Described):
    at: datetime
    version_in_force: str


class PriceBookOut(Described):
    data: list[PriceRow]
    version: str
    refused: list[RefusedBook]
    next_cursor: None


class OverrideRow(Described):
    """What a tenant pays instead of the list price: a multiplier, or prices as an entry of the book has them."""

    id: str
    tenant_id: str
    provider: str
    model: str
    effective_from: datetime
    effective_until: datetime | None
    reason: str
    state: Literal["coming", "in force", "over"]
    created_at: datetime
    created_by: str
    multiplier: str = left_out()
    prices: dict[str, str] = left_out()
    units: dict[str, Any] = left_out()
    long_context: list[Any] = left_out()
    windows: list[Any] = left_out()
    service_tiers: dict[str, Any] = left_out()
    regions: list[Any] = left_out()
    dropped: str = left_out()


class OverrideList(Described):
    data: list[OverrideRow]
    data_through: datetime | None
    next_cursor: str | None
    version: str


class OverrideEnd(Described):
    id: str
    effective_until: datetime | None
    removed: bool


class UnpricedRow(Described):
    provider: str
    model: str
    unpriced_events: Count
    calls: Count
    total_tokens: Count


class AuditDifference(Described):
    level: str
    bucket: datetime | None
    tenant_id: str | None
    measure: str
    expected: int | str
    found: int | str
    waiting: bool


class AuditIdentity(Described):
    name: str
    holds: bool
    totals: dict[str, int | str]
    differences: list[AuditDifference]
    note: str


class LedgerRow(Described):
    topic: str
    partition: int
    next_offset: int
    end_offset: int | None
    stream_through: datetime | None
    events_read: Count
    counted: Count
    duplicate: Count
    dead_lettered: Count
    quarantined: Count


class AuditSpan(Described):
    from_: Annotated[datetime, Field(alias="from")]
    to: datetime


class AuditReport(Described):
    holds: bool
    identities: list[AuditIdentity]
    ledger: list[LedgerRow]
    waiting_for_refresh: list[datetime]
    hours_checked: Count
    hours_known: Count
    seconds: float
    left: Annotated[
        list[AuditSpan], Field(description="Days that there was no time for; the next audit goes on there.")
    ]
    from_: Annotated[datetime, Field(alias="from")]
    to: datetime


class AuditAnswer(Described):
    data: AuditReport
    data_through: datetime | None
