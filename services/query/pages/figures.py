"""What a page is made from: figures as read, before they become words. Money is pico-USD."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from services.query.pages.ranges import PageRange


@dataclass(frozen=True, slots=True)
class Sums:
    """Measures of one group of calls."""

    cost_pico_usd: int = 0
    calls: int = 0
    requests: int = 0
    errors: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    wasted_pico_usd: int = 0
    unpriced_events: int = 0
    late_events: int = 0
    latency_ms_avg: Decimal | None = None

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


def add(one: Sums, other: Sums) -> Sums:
    """Both together. An average does not add up and is left out."""
    return Sums(
        cost_pico_usd=one.cost_pico_usd + other.cost_pico_usd,
        calls=one.calls + other.calls,
        requests=one.requests + other.requests,
        errors=one.errors + other.errors,
        prompt_tokens=one.prompt_tokens + other.prompt_tokens,
        completion_tokens=one.completion_tokens + other.completion_tokens,
        wasted_pico_usd=one.wasted_pico_usd + other.wasted_pico_usd,
        unpriced_events=one.unpriced_events + other.unpriced_events,
        late_events=one.late_events + other.late_events,
    )


@dataclass(frozen=True, slots=True)
class Item:
    """A group by one dimension: `key` as stored ('' where the event said nothing), and the period before."""

    key: str
    sums: Sums
    before: Sums | None = None
    label: str = ""
    sub: str = ""
    """A second dimension that belongs to it: a model's provider, an agent's features."""


@dataclass(frozen=True, slots=True)
class Point:
    """One bucket of one series."""

    bucket: datetime
    key: str
    cost_pico_usd: int = 0
    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Budget:
    """The budget of an agent that is nearest to exhaustion."""

    agent_id: str
    window: str
    limit_pico_usd: int
    spent_pico_usd: int
    window_start: datetime
    resets_at: datetime


@dataclass(frozen=True, slots=True)
class OverviewFigures:
    shown: PageRange
    tenant_id: str | None
    read_at: datetime
    data_through: datetime | None
    has_events: bool
    """Whether anything was ever counted for whom the page shows."""
    total: Sums
    before: Sums | None
    runs: int
    runs_before: int | None
    month_pico_usd: int
    today_pico_usd: int
    buckets: tuple[datetime, ...]
    """Every bucket of the range, in order, those without calls too."""
    series: tuple[Point, ...]
    providers: tuple[Item, ...]
    models: tuple[Item, ...]
    agents: tuple[Item, ...]
    tenants: tuple[Item, ...]
    features: tuple[Item, ...]
    customers: tuple[Item, ...]
    hours: tuple[Point, ...]
    """Tokens of the last 72 hours, an hour each, the running one last."""
    filters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class OrgFigures:
    """One organisation: its models, what it cost over time."""

    shown: PageRange
    tenant_id: str
    data_through: datetime | None
    total: Sums
    before: Sums | None
    buckets: tuple[datetime, ...]
    series: tuple[Point, ...]
    providers: tuple[Item, ...]
    models: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class PayrollFigures:
    shown: PageRange
    tenant_id: str
    read_at: datetime
    data_through: datetime | None
    total: Sums
    before: Sums | None
    agents: tuple[Item, ...]
    providers: tuple[Item, ...]
    channels: tuple[Item, ...]
    customers: tuple[Item, ...]
    budgets: tuple[Budget, ...]
    features_of: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """An agent's features, dearest first."""
    main_model_of: dict[str, str] = field(default_factory=dict)
