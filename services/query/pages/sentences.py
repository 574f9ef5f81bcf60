"""A page's first sentence: the answer in words. Pure; made of spans, so that templates never paste markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from services.query.pages.figures import Budget, Item, OverviewFigures, PayrollFigures, Sums
from services.query.pages.formats import change, count, listing, money, number_word, per_call, plural
from services.query.pages.ranges import before_words, day_words, period_words

Tone = Literal["plain", "strong", "alarm", "relief", "link"]
# Within five per cent the two periods are "about the same": a sentence that calls every wobble a change is not read.
_SAME_WITHIN = Decimal("0.05")
# A cause is named when it explains at least a fifth of the difference.
_EXPLAINS_AT_LEAST = Decimal("0.2")
_GREW_BY = Decimal("1.25")


@dataclass(frozen=True, slots=True)
class Words:
    """A stretch of the sentence. `feature` where it is a link to that feature."""

    text: str
    tone: Tone = "plain"
    feature: str | None = None


Sentence = tuple[Words, ...]


def overview_sentence(figures: OverviewFigures) -> Sentence:
    total, before, shown = figures.total, figures.before, figures.shown
    start = [] if figures.tenant_id is None else [Words(f"{figures.tenant_id} spent ")]
    start += [Words(money(total.cost_pico_usd), "strong"), Words(f" {period_words(shown)}")]
    if total.unpriced_events == total.calls and total.calls:
        return (*start, Words(": none of its calls has a price yet."))
    if before is None:
        return (*start, Words(f", by {count(total.calls)} {plural(total.calls, 'call')}."))
    if not before.cost_pico_usd:
        return (
            *start,
            Words("; nothing came before." if not before.calls else "; before it cost nothing."),
        )
    delta = total.cost_pico_usd - before.cost_pico_usd
    if abs(delta) <= _SAME_WITHIN * before.cost_pico_usd:
        return (*start, Words(", about as much as "), Words(f"{before_words(shown)}."))
    compared = change(total.cost_pico_usd, before.cost_pico_usd)
    more = Words(
        f"{compared.plain} more" if delta > 0 else f"{compared.plain} less", "alarm" if delta > 0 else "relief"
    )
    if delta > 0 and total.cost_pico_usd >= 10 * before.cost_pico_usd:
        more = Words(f"{compared.plain} as much", "alarm")
    link = " as " if more.text.endswith("as much") else " than "
    return (*start, Words(", "), more, Words(f"{link}{before_words(shown)}."), *_cause(figures.features, delta))


def _cause(features: Sequence[Item], delta: int) -> Sentence:
    """Which feature explains the difference, and by what."""
    moved = [(item, item.sums.cost_pico_usd - (item.before or Sums()).cost_pico_usd) for item in features if item.key]
    same_way = [(item, by) for item, by in moved if by * delta > 0]
    if not same_way:
        return ()
    item, by = max(same_way, key=lambda pair: abs(pair[1]))
    if abs(by) < _EXPLAINS_AT_LEAST * abs(delta):
        return (Words(" No single feature explains it."),)
    lead = (Words(" "), Words(item.key, "link", item.key))
    of_it = f" explains {money(abs(by))} of the {money(abs(delta))}"
    if abs(by) >= abs(delta):
        of_it = f" alone {'grew' if delta > 0 else 'fell'} by {money(abs(by))}"
    why = _why(item, grew=delta > 0)
    return (*lead, Words(f"{of_it}: {why}." if why else f"{of_it}."))


def _why(item: Item, *, grew: bool) -> str:
    """What of it moved most per call or in number: prompts, completions, or how often it is called."""
    now, before = item.sums, item.before or Sums()
    if not before.calls or not now.calls:
        return "it is new" if grew else "it was not called any more"
    candidates = [
        ("its prompts", now.prompt_tokens // now.calls, before.prompt_tokens // before.calls, " tokens"),
        ("its completions", now.completion_tokens // now.calls, before.completion_tokens // before.calls, " tokens"),
        ("its calls", now.calls, before.calls, ""),
    ]
    verb = "grew" if grew else "fell"
    ratios = [
        (Decimal(after) / first if grew else Decimal(first) / after, what, first, after, unit)
        for what, after, first, unit in candidates
        if first and after
    ]
    if not ratios:
        return ""
    ratio, what, first, after, unit = max(ratios)
    return f"{what} {verb} from {count(first)} to {count(after)}{unit}" if ratio >= _GREW_BY else ""


def payroll_sentence(figures: PayrollFigures) -> Sentence:
    agents = [item for item in figures.agents if item.key and item.sums.calls]
    who = f"{figures.tenant_id}’s {number_word(len(agents))} {plural(len(agents), 'agent')} cost "
    if not agents:
        who = f"{figures.tenant_id} has no agents; its calls cost "
    total = sum(item.sums.cost_pico_usd for item in agents) if agents else figures.total.cost_pico_usd
    return (
        Words(who),
        Words(money(total), "strong"),
        Words(f" {period_words(figures.shown)}."),
        *_budget_words(figures),
    )


def _budget_words(figures: PayrollFigures) -> Iterable[Words]:
    names = {item.key: item.label or item.key for item in figures.agents}
    over = [b for b in figures.budgets if b.spent_pico_usd >= b.limit_pico_usd]
    near = [b for b in figures.budgets if b not in over and 5 * b.spent_pico_usd >= 4 * b.limit_pico_usd]
    if over:
        are = "is over its budget" if len(over) == 1 else "are over their budgets"
        yield Words(" ")
        yield Words(listing([names.get(b.agent_id, b.agent_id) for b in over]), "alarm")
        yield Words(f" {are}" + ("; " if near else "."))
    elif near:
        yield Words(" ")
    for index, budget in enumerate(near):
        stop = "." if index == len(near) - 1 else ", "
        yield Words(f"{names.get(budget.agent_id, budget.agent_id)} {_runs_out(budget, figures)}{stop}")
    if figures.budgets and not over and not near:
        yield Words(" All budgets hold.")


def _runs_out(budget: Budget, figures: PayrollFigures) -> str:
    """By the pace of the budget's window so far."""
    elapsed = figures.read_at - budget.window_start
    if budget.spent_pico_usd <= 0:
        return "holds"
    left = elapsed * ((budget.limit_pico_usd - budget.spent_pico_usd) / budget.spent_pico_usd)
    at = figures.read_at + left
    if at >= budget.resets_at:
        return "has used 80\u202f% of its budget"
    return f"runs out on {day_words(at.astimezone(figures.shown.zone).date())}"


def average_cost(sums: Sums) -> int:
    return per_call(sums.cost_pico_usd, sums.calls)
