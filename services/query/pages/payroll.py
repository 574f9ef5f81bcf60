"""The payroll view: what each agent costs, read like a pay sheet. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from services.query.pages.cards import Card, payroll_cards
from services.query.pages.chrome import PAYROLL_RANGES, Bar, filter_bar, through
from services.query.pages.figures import Budget, Item, PayrollFigures
from services.query.pages.formats import Change, change, money, per_call, share
from services.query.pages.links import PageState
from services.query.pages.ranges import PageRange, RangeName
from services.query.pages.rows import UNNAMED, Row, rows
from services.query.pages.sentences import Sentence, payroll_sentence

_FEATURES_NAMED = 3
_TOP = 8
_WARN_FROM = Decimal("0.8")


@dataclass(frozen=True, slots=True)
class BudgetBadge:
    """`tone` ok | warn | over; `colour` of its meter."""

    tone: str
    colour: str
    label: str
    used: Decimal
    left: str
    resets: str


@dataclass(frozen=True, slots=True)
class Slip:
    key: str
    face: str
    name: str
    role: str
    href: str
    cost: int
    unpriced: int
    share: Decimal
    calls: int
    per_call: int
    change: Change | None
    budget: BudgetBadge | None


@dataclass(frozen=True, slots=True)
class PayrollPage:
    url: str
    bar: Bar
    is_empty: bool
    sentence: Sentence
    cards: tuple[Card, ...]
    period: str
    compared_to: str
    slips: tuple[Slip, ...]
    tokens: tuple[Row, ...]
    providers: tuple[Row, ...]
    channels: tuple[Row, ...]
    customers: tuple[Row, ...]


def payroll_page(figures: PayrollFigures, state: PageState, tenants: Sequence[str], *, has_events: bool) -> PayrollPage:
    """Agents with a budget first, those without a limit below them, each group dearest first."""
    total, shown = figures.total, figures.shown
    live = through(figures.data_through, figures.read_at, shown)
    agents = [item for item in figures.agents if item.sums.calls]
    budgets = {budget.agent_id: budget for budget in figures.budgets}
    slips = sorted(
        (_slip(item, figures, budgets.get(item.key)) for item in agents),
        key=lambda s: (s.budget is None, -s.cost, s.key),
    )
    overview = PageState("/", shown.name, figures.tenant_id, state.first_day, state.last_day)
    return PayrollPage(
        url=state.url(),
        bar=filter_bar(
            state,
            shown,
            live,
            tenants,
            tenant=figures.tenant_id,
            ranges=PAYROLL_RANGES,
            tenant_action="/usage",
            all_tenants=False,
        ),
        is_empty=not has_events,
        sentence=payroll_sentence(figures),
        cards=payroll_cards(figures),
        period=_period(shown),
        compared_to=_compared_to(shown),
        slips=tuple(slips),
        tokens=rows(
            agents, total, lambda i: overview.with_filter("agent_id", i.key), by=lambda s: s.total_tokens, limit=_TOP
        ),
        providers=rows(figures.providers, total, lambda i: overview.with_filter("provider", i.key), limit=_TOP),
        channels=rows(figures.channels, total, lambda _: "", by=lambda s: s.requests, limit=_TOP),
        customers=rows(figures.customers, total, lambda _: "", limit=10),
    )


def _slip(item: Item, figures: PayrollFigures, budget: Budget | None) -> Slip:
    sums, before = item.sums, item.before
    name = item.label or item.key or UNNAMED
    overview = PageState("/", figures.shown.name, figures.tenant_id, figures.shown.first_day, figures.shown.last_day)
    return Slip(
        key=item.key,
        face=name.lstrip("(")[:1].upper(),
        name=name if item.key else "Calls of no agent",
        role=_role(item.key, figures),
        href=overview.with_filter("agent_id", item.key),
        cost=sums.cost_pico_usd,
        unpriced=sums.unpriced_events,
        share=share(sums.cost_pico_usd, figures.total.cost_pico_usd),
        calls=sums.calls,
        per_call=per_call(sums.cost_pico_usd, sums.calls),
        change=change(sums.cost_pico_usd, before.cost_pico_usd, 0) if before is not None else None,
        budget=_badge(budget, figures) if budget else None,
    )


def _role(agent_id: str, figures: PayrollFigures) -> str:
    """What it does, and mostly with what: "chat, rag · mostly gpt-4o"."""
    features = [name for name in figures.features_of.get(agent_id, ()) if name]
    named = ", ".join(features[:_FEATURES_NAMED]) + (" …" if len(features) > _FEATURES_NAMED else "")
    model = figures.main_model_of.get(agent_id, "")
    return " · ".join(part for part in (named, f"mostly {model}" if model else "") if part)


def _badge(budget: Budget, figures: PayrollFigures) -> BudgetBadge:
    used = share(budget.spent_pico_usd, budget.limit_pico_usd)
    spent = f"{money(budget.spent_pico_usd)} of {money(budget.limit_pico_usd)}"
    left = budget.limit_pico_usd - budget.spent_pico_usd
    resets = budget.resets_at.astimezone(figures.shown.zone)
    when = f"resets {resets.day} {resets:%b}"
    shown = min(used, Decimal(1))
    if used >= 1:
        return BudgetBadge(
            "over", "c-bad", "Over budget", shown, spent, f"{money(-left)} over · {when}" if left else when
        )
    if used >= _WARN_FROM:
        return BudgetBadge("warn", "c-full", "80\u202f%+ used", shown, spent, f"{money(left)} left · {when}")
    return BudgetBadge("ok", "c-good", "In budget", shown, spent, f"{money(left)} left · {when}")


def _period(shown: PageRange) -> str:
    words: dict[RangeName, str] = {
        "24h": "last 24 hours",
        "7d": "last 7 days",
        "30d": "last 30 days",
        "month": "this month",
        "3m": "last three months",
    }
    return words.get(shown.name, f"{shown.first_day} to {shown.last_day}")


def _compared_to(shown: PageRange) -> str:
    words: dict[RangeName, str] = {
        "24h": "to the 24\u202fh before",
        "7d": "to 7 days before",
        "30d": "to 30 days before",
        "month": "to last month",
        "3m": "to 3 months before",
    }
    return words.get(shown.name, "to the time before")
