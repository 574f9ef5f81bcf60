"""Budgets as rows with a meter. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from services.contracts.agents import default_label
from services.query.pages.formats import listing, money, number_word, percent, plural, share
from services.query.pages.forms import scope_words
from services.query.pages.sentences import Sentence, Words
from services.query.read.budgets import BudgetState

_TONES: Final = {"ok": ("ok", "c-good"), "warning": ("warn", "c-full"), "exceeded": ("over", "c-bad")}
_EVERY: Final = {"daily": "a day", "weekly": "a week", "monthly": "a month"}
_NAMED: Final = 3
ALL_TENANTS: Final = "all tenants"


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """`used` may be above 1, `meter` never is."""

    budget_id: str
    whose: str
    what: str
    every: str
    limit: int
    spent: int
    used: Decimal
    meter: Decimal
    tone: str
    colour: str
    badge: str
    left: str
    resets: str
    thresholds: str


def budget_rows(states: Sequence[tuple[BudgetState, ZoneInfo]]) -> tuple[BudgetRow, ...]:
    """The one nearest to exhaustion first. Each state comes with its tenant's zone."""
    ordered = sorted(states, key=lambda pair: (-pair[0].used_share, pair[0].budget.tenant_id or ""))
    return tuple(_row(state, zone) for state, zone in ordered)


def _row(state: BudgetState, zone: ZoneInfo) -> BudgetRow:
    budget, spent = state.budget, state.spent_pico_usd
    tone, colour = _TONES[state.status]
    used, left = share(spent, budget.limit_pico_usd), budget.limit_pico_usd - spent
    resets = state.resets_at.astimezone(zone)
    return BudgetRow(
        budget_id=str(budget.budget_id),
        whose=budget.tenant_id or ALL_TENANTS,
        what=_what(budget.scope),
        every=_EVERY[budget.budget_window],
        limit=budget.limit_pico_usd,
        spent=spent,
        used=used,
        meter=min(used, Decimal(1)),
        tone=tone,
        colour=colour,
        badge="Over budget" if state.status == "exceeded" else f"{percent(used, 0)} used",
        left=f"{money(left)} left" if left > 0 else f"{money(-left)} over" if left else "nothing left",
        resets=f"resets {resets.day} {resets:%b}",
        thresholds=", ".join(f"{one}\u202f%" for one in budget.thresholds),
    )


def _what(scope: dict[str, str]) -> str:
    """Whom it limits: an agent by the name people know it under."""
    if "agent_id" in scope:
        return f"agent {default_label(scope['agent_id'])}"
    return scope_words(scope) or "everything"


def budget_sentence(rows: Sequence[BudgetRow]) -> Sentence:
    """Whether they hold; named are those that don't."""
    if not rows:
        return (Words("No budget is set yet."),)
    over, near = [row for row in rows if row.tone == "over"], [row for row in rows if row.tone == "warn"]
    number = f"{number_word(len(rows)).capitalize()} {plural(len(rows), 'budget')}"
    if not over and not near:
        return (Words(f"{number}, all of which hold." if len(rows) > 1 else "The one budget holds."),)
    told = over or near
    names = [f"{row.whose}’s {row.what}" if row.what != "everything" else row.whose for row in told[:_NAMED]]
    more = f" and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
    verb = ("is over its budget" if len(told) == 1 else "are over their budgets") if over else "near the limit"
    start = (Words(f"{number}: "), Words(listing(names) + more, "alarm"))
    return (*start, Words(f" {verb}." if over else f" {'is' if len(told) == 1 else 'are'} {verb}."))
