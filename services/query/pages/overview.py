"""The overview as a view: sentence, cards, charts, tables. Pure: figures in, texts and geometry out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from pricing.money import PICO_PER_USD
from services.query.pages.cards import Card, overview_cards
from services.query.pages.charts import Chart, Slice, cost_chart, ring, token_chart
from services.query.pages.chrome import Bar, filter_bar, through
from services.query.pages.colours import colour_class
from services.query.pages.figures import Item, OverviewFigures, Sums
from services.query.pages.formats import money, money_whole
from services.query.pages.links import PageState, segment
from services.query.pages.ranges import LABELS
from services.query.pages.rows import Row, rows, tip
from services.query.pages.sentences import Sentence, overview_sentence

_TOP = 10
# A gap between the parts of the ring, in per cent of its circumference.
_RING_GAP = 0.6


@dataclass(frozen=True, slots=True)
class RingPart:
    label: str
    colour: str
    dash: float
    offset: float
    share_text: str
    href: str
    tip: str


@dataclass(frozen=True, slots=True)
class OverviewPage:
    url: str
    bar: Bar
    is_empty: bool
    sentence: Sentence
    cards: tuple[Card, ...]
    granularity: str
    cost: Chart
    legend: tuple[tuple[str, str, str], ...]
    """(label, colour, where a click leads)."""
    ring: tuple[RingPart, ...]
    ring_total: str
    ring_note: str
    providers: tuple[Row, ...]
    models: tuple[Row, ...]
    agents: tuple[Row, ...]
    hours: Chart
    features: tuple[Row, ...]
    customers: tuple[Row, ...]
    tenants: tuple[Row, ...]


def overview_page(figures: OverviewFigures, state: PageState, tenants: Sequence[str]) -> OverviewPage:
    """`tenants` are those the reader may pick."""
    total, shown = figures.total, figures.shown
    chart = cost_chart(figures, state)

    def filtered(name: str) -> list[str]:
        return [value for key, value in state.filters if key == name]

    def narrowed(name: str, item: Item) -> str:
        return state.without_filter(name) if filtered(name) == [item.key] else state.with_filter(name, item.key)

    live = through(figures.data_through, figures.read_at, shown)
    return OverviewPage(
        url=state.url(),
        bar=filter_bar(state, shown, live, tenants, tenant=figures.tenant_id),
        is_empty=not figures.has_events,
        sentence=overview_sentence(figures),
        cards=overview_cards(figures),
        granularity=shown.granularity,
        cost=chart,
        legend=tuple(
            (s.label, s.colour, state.with_filter("provider", s.name) if s.name else "") for s in chart.series
        ),
        ring=tuple(_ring_part(part, state) for part in ring(figures)),
        ring_total=_in_ring(total.cost_pico_usd),
        ring_note=LABELS[shown.name].lower() if shown.name != "custom" else "custom",
        providers=rows(figures.providers, total, lambda i: narrowed("provider", i), limit=8),
        models=rows(
            figures.models, total, lambda i: narrowed("model", i),
            colour=lambda item: colour_class(item.sub), limit=_TOP,
        ),
        agents=rows((i for i in figures.agents if i.key), total, lambda i: narrowed("agent_id", i), limit=_TOP),
        hours=token_chart(figures),
        features=rows(
            figures.features, total, lambda i: _feature_href(i, state) if i.key else narrowed("feature", i),
            by=lambda sums: sums.total_tokens, limit=_TOP,
        ),
        customers=rows(figures.customers, total, lambda _: "", limit=_TOP),
        tenants=rows(figures.tenants, total, lambda i: state.with_tenant(i.key), limit=_TOP),
    )  # fmt: skip


def _feature_href(item: Item, state: PageState) -> str:
    return state.at(f"/features/{segment(item.key)}")


def _in_ring(pico_usd: int) -> str:
    """Cents don't fit there from a hundred dollars on."""
    return money_whole(pico_usd) if pico_usd >= 100 * PICO_PER_USD else money(pico_usd)


def _ring_part(part: Slice, state: PageState) -> RingPart:
    sums = Sums(cost_pico_usd=part.cost_pico_usd, calls=part.calls)
    lines = "|".join(tip(sums, _share(part)).split("|")[:3])
    href = state.with_filter("provider", part.key) if part.key else "#providers"
    dash = max(part.length - _RING_GAP, 0.15) if part.length < 100 else 100.0
    return RingPart(part.label, part.colour, dash, part.offset, part.share_text, href, lines)


def _share(part: Slice) -> Decimal:
    return Decimal(str(part.length)) / 100
