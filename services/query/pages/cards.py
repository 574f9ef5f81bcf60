"""The cards under the sentence: a figure, and what it was in the period before. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from services.query.pages.figures import OverviewFigures, PayrollFigures, Sums
from services.query.pages.formats import (
    NOTHING,
    THIN,
    Change,
    change,
    count,
    milliseconds,
    money,
    money_exact,
    per_call,
    percent,
    plural,
    share,
    short,
)  # fmt: skip

Tone = Literal["spend", "neutral"]
# Where most events came late somebody sent the past, on purpose: that is no news beside a total.
_BACKFILL_FROM = Decimal("0.5")


@dataclass(frozen=True, slots=True)
class Card:
    """`tone` spend: up is amber, down is green. neutral: neither is good or bad."""

    name: str
    label: str
    value: str
    title: str
    """The exact value."""
    change: Change | None = None
    tone: Tone = "neutral"
    note: str = ""
    warning: str = ""
    """A small amber note: what the figure does not contain."""


def overview_cards(figures: OverviewFigures) -> tuple[Card, ...]:
    now, before = figures.total, _measured(figures.before)
    return (
        _total(now, before),
        _calls(now, before),
        _cost_per_call(now, before),
        _tokens(now, before),
        _latency(now, before),
        _runs(figures),
        _wasted(now),
        Card(
            "today", "Today", money(figures.today_pico_usd), money_exact(figures.today_pico_usd), note="since midnight"
        ),
        Card("month", "Month to date", money(figures.month_pico_usd), money_exact(figures.month_pico_usd),
             note=f"since 1{THIN}{figures.read_at.astimezone(figures.shown.zone):%B}"),
    )  # fmt: skip


def _measured(before: Sums | None) -> Sums | None:
    """A period without calls is nothing to compare with."""
    return before if before and before.calls else None


def _total(now: Sums, before: Sums | None) -> Card:
    left_out = f"{count(now.unpriced_events)} {plural(now.unpriced_events, 'call')} unpriced"
    late = f"{count(now.late_events)} late"
    is_noteworthy = now.late_events and now.late_events < _BACKFILL_FROM * now.calls
    said = (left_out if now.unpriced_events else "", late if is_noteworthy else "")
    warning = ", ".join(part for part in said if part)
    compared = change(now.cost_pico_usd, before.cost_pico_usd) if before else None
    note = f"from {money(before.cost_pico_usd)}" if before else "nothing to compare with"
    return Card(
        "cost", "Total cost", money(now.cost_pico_usd), money_exact(now.cost_pico_usd), compared, "spend", note, warning
    )


def _calls(now: Sums, before: Sums | None) -> Card:
    ok = percent(share(now.calls - now.errors, now.calls))
    note = f"{ok} ok · {count(now.errors)} failed" if now.errors else "none failed" if now.calls else ""
    title = f"{count(now.calls)} calls, {count(now.calls - now.errors)} ok, {count(now.errors)} failed"
    value = count(now.calls) if now.calls < 10**7 else short(now.calls)
    return Card("calls", "Calls", value, title, change(now.calls, before.calls) if before else None, "neutral", note)


def _cost_per_call(now: Sums, before: Sums | None) -> Card:
    average = per_call(now.cost_pico_usd, now.calls)
    earlier = per_call(before.cost_pico_usd, before.calls) if before else 0
    compared = change(average, earlier) if before else None
    note = f"from {money(earlier)}" if before and earlier else ""
    value = money(average) if now.calls else NOTHING
    return Card("per-call", "Cost per call", value, money_exact(average), compared, "spend", note)


def _tokens(now: Sums, before: Sums | None) -> Card:
    note = f"{count(now.total_tokens // now.calls)} per call" if now.calls else ""
    title = (
        f"{count(now.total_tokens)} tokens: {count(now.prompt_tokens)} prompt, {count(now.completion_tokens)} completed"
    )
    compared = change(now.total_tokens, before.total_tokens) if before else None
    return Card("tokens", "Tokens", short(now.total_tokens), title, compared, "neutral", note)


def _latency(now: Sums, before: Sums | None) -> Card:
    compared = None
    if before and now.latency_ms_avg is not None and before.latency_ms_avg is not None:
        compared = change(now.latency_ms_avg, before.latency_ms_avg)
    exact = f"{now.latency_ms_avg:,.1f} ms on average" if now.latency_ms_avg is not None else "not measured"
    note = f"{percent(share(now.calls - now.errors, now.calls))} succeed" if now.calls else ""
    return Card("latency", "Average latency", milliseconds(now.latency_ms_avg), exact, compared, "neutral", note)


def _runs(figures: OverviewFigures) -> Card:
    compared = change(figures.runs, figures.runs_before) if figures.runs_before else None
    note = ""
    if figures.runs and figures.total.calls:
        note = f"{(Decimal(figures.total.calls) / figures.runs):,.1f} calls per run"
    return Card("runs", "Runs", count(figures.runs), f"{count(figures.runs)} runs", compared, "neutral", note)


def _wasted(now: Sums) -> Card:
    note = f"{percent(share(now.wasted_pico_usd, now.cost_pico_usd))} of the cost"
    return Card("wasted", "Wasted", money(now.wasted_pico_usd), money_exact(now.wasted_pico_usd), note=note)


def org_cards(now: Sums, earlier: Sums | None) -> tuple[Card, ...]:
    """What one organisation did, against the period before."""
    before = _measured(earlier)
    return (_total(now, before), _calls(now, before), _cost_per_call(now, before), _tokens(now, before))


def payroll_cards(figures: PayrollFigures) -> tuple[Card, ...]:
    now, before = figures.total, _measured(figures.before)
    messages = Card("messages", "Messages", count(now.requests), f"{count(now.requests)} messages",
                    change(now.requests, before.requests) if before else None, "neutral",
                    f"{count(now.calls)} {plural(now.calls, 'call')}")  # fmt: skip
    return (_total(now, before), _tokens(now, before), messages, _cost_per_call(now, before))
