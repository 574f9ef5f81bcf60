"""Organisations by what they spend, and one of them, as views. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

from pricing.money import PICO_PER_USD
from services.query.pages.cards import Card, org_cards
from services.query.pages.charts import Chart, cost_chart
from services.query.pages.colours import colour_class
from services.query.pages.figures import Item, OrgFigures, Sums
from services.query.pages.formats import change, listing, money, number_word, percent, plural, share
from services.query.pages.links import PageState, segment
from services.query.pages.ranges import PageRange, RangeError, before_words, period_words
from services.query.pages.rows import Row, rows
from services.query.pages.sentences import Sentence, Words

_LEAST_MAX: Final = Decimal(9_000_000)
_SAME_WITHIN: Final = Decimal("0.05")


def least_pico_usd(text: str) -> int:
    """`min` of the URL: the least spend in USD that is shown, 0 where nothing is asked. RangeError for no amount."""
    if not text:
        return 0
    try:
        usd = Decimal(text.strip().removeprefix("$"))
    except InvalidOperation:
        usd = Decimal("NaN")
    if not usd.is_finite() or not 0 <= usd <= _LEAST_MAX:
        raise RangeError(f"min is an amount in USD from 0 to {_LEAST_MAX:,}, not {text[:40]!r}")
    return int(usd * PICO_PER_USD)


def org_rows(
    items: Sequence[Item], total: Sums, least: int, names: Mapping[str, str], state: PageState
) -> tuple[Row, ...]:
    """Those that spent at least `least`, dearest first; each leads to its page. Their shares are of all there are."""
    named = (
        Item(item.key, item.sums, item.before, names.get(item.key, ""), item.key)
        for item in items
        if item.sums.cost_pico_usd >= least and item.sums.calls
    )
    query = state.at("")
    return rows(named, total, lambda item: f"/orgs/{segment(item.key)}{query}", colour=lambda _: "c-accent")


def orgs_sentence(table: Sequence[Row], total: Sums, least: int, shown: PageRange) -> Sentence:
    if not table:
        return (Words(f"No organisation spent {money(least)} or more {period_words(shown)}."),) if least else (
            Words(f"No calls {period_words(shown)}."),
        )  # fmt: skip
    spent = sum(row.cost for row in table)
    number = f"{number_word(len(table)).capitalize()} {plural(len(table), 'organisation')} spent "
    words = [Words(number), Words(money(spent), "strong"), Words(f" {period_words(shown)}")]
    if least and spent < total.cost_pico_usd:
        words.append(Words(f", {percent(share(spent, total.cost_pico_usd), 0)} of all"))
    dearest = listing([row.label for row in table[:1]])
    if len(table) > 2 and 2 * table[0].cost > spent:
        words.append(Words(f"; more than half of it {dearest}"))
    return (*words, Words("."))


@dataclass(frozen=True, slots=True)
class OrgPage:
    sentence: Sentence
    cards: tuple[Card, ...]
    cost: Chart
    legend: tuple[tuple[str, str, str], ...]
    models: tuple[Row, ...]
    granularity: str


def org_page(figures: OrgFigures, name: str, state: PageState) -> OrgPage:
    """`state` is the page's own; charts and models lead to the overview of the organisation."""
    overview = PageState("/", state.range_name, figures.tenant_id, state.first_day, state.last_day)
    chart = cost_chart(figures, state)
    return OrgPage(
        sentence=_sentence(figures, name),
        cards=org_cards(figures.total, figures.before),
        cost=chart,
        legend=tuple((one.label, one.colour, "") for one in chart.series),
        models=rows(figures.models, figures.total, lambda item: overview.with_filter("model", item.key),
                    colour=lambda item: colour_class(item.sub)),
        granularity=figures.shown.granularity,
    )  # fmt: skip


def _sentence(figures: OrgFigures, name: str) -> Sentence:
    total, before = figures.total, figures.before
    words = [
        Words(f"{name} spent "), Words(money(total.cost_pico_usd), "strong"), Words(f" {period_words(figures.shown)}"),
    ]  # fmt: skip
    if before is None or not before.cost_pico_usd:
        return (*words, Words("."))
    delta = total.cost_pico_usd - before.cost_pico_usd
    if abs(delta) <= _SAME_WITHIN * before.cost_pico_usd:
        return (*words, Words(f", about as much as {before_words(figures.shown)}."))
    plain = change(total.cost_pico_usd, before.cost_pico_usd).plain
    factor = plain.endswith("×")
    told = f"{plain} as much" if factor else f"{plain} {'more' if delta > 0 else 'less'}"
    tone = Words(told, "alarm" if delta > 0 else "relief")
    return (*words, Words(", "), tone, Words(f" {'as' if factor else 'than'} {before_words(figures.shown)}."))
