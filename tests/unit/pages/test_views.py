"""Figures become cards, charts, rows and slips."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal

import pytest

from services.contracts.keys import Principal
from services.query.pages.axes import count_axis, money_axis
from services.query.pages.cards import overview_cards
from services.query.pages.charts import cost_chart, ring, token_chart
from services.query.pages.chrome import navigation
from services.query.pages.colours import colour_class
from services.query.pages.figures import Item, Sums
from services.query.pages.links import PageState, segment
from services.query.pages.overview import overview_page
from services.query.pages.payroll import payroll_page
from services.query.pages.reading import Breakdown, compare
from services.query.pages.scope import UnknownTenant, make_tenant, scope_for
from services.query.pages.templating import script_json
from tests.unit.pages.sample import USD, budget, overview, payroll, spent

STATE = PageState("/", "7d", "acme-corp")


def test_the_bars_of_a_bucket_stack_to_its_total() -> None:
    chart = cost_chart(overview(), STATE)
    first = [bar for bar in chart.bars if bar.x < 10]
    assert sum(bar.height for bar in first) == pytest.approx(100 * 15 * USD / chart.axis.top)
    assert first[0].y + first[0].height == pytest.approx(100)
    assert chart.totals[:2] == ("$15.00", "$0.00")


def test_only_the_running_bucket_is_hatched() -> None:
    chart = cost_chart(overview(), STATE)
    assert {bar.running for bar in chart.bars if bar.x > 80} == {True}
    assert {bar.running for bar in chart.bars if bar.x < 80} == {False}
    assert chart.titles[-1] == "Sun 22 Nov 2026 · so far"


def test_a_click_on_a_day_leads_into_that_day() -> None:
    chart = cost_chart(overview(), STATE)
    assert chart.hrefs[2] == "/?tenant=acme-corp&range=custom&startDate=2026-11-18&endDate=2026-11-18"


def test_drawing_and_hydrated_chart_have_the_same_axis() -> None:
    data = json.loads(json.dumps(cost_chart(overview(), STATE).data()))
    assert data["axis"] == {"top": 15 * USD, "steps": 3, "labels": ["$0", "$5", "$10", "$15"]}


@pytest.mark.parametrize("greatest", [0, 1, 7, 99, 238, 10**9 + 1, 15 * USD])
def test_an_axis_covers_its_greatest_value_in_a_few_round_steps(greatest: int) -> None:
    for axis in (money_axis(greatest), count_axis(greatest)):
        assert axis.top >= greatest
        assert 1 <= axis.steps <= 5
        assert len(set(axis.labels)) == axis.steps + 1


def test_the_ring_is_the_top_five_and_the_rest() -> None:
    slices = ring(overview(providers=tuple(Item(f"p{i}", spent(10 - i)) for i in range(8))))
    assert [s.label for s in slices] == ["p0", "p1", "p2", "p3", "p4", "3 others"]
    assert sum(s.length for s in slices) == pytest.approx(100)


def test_the_ring_of_no_spend_is_empty() -> None:
    assert [s.length for s in ring(overview(providers=(Item("ollama", Sums(calls=4)),)))] == [0]


def test_tokens_per_hour_cover_three_days() -> None:
    chart = token_chart(overview())
    assert [len(s.values) for s in chart.series] == [72, 72]
    assert [s.label for s in chart.series] == ["prompt", "completion"]


def test_each_card_is_told_against_the_period_before() -> None:
    cards = {card.name: card for card in overview_cards(overview())}
    assert list(cards) == ["cost", "calls", "per-call", "tokens", "latency", "runs", "wasted", "today", "month"]
    assert cards["cost"].note == "from $20.00"
    changed = {name for name, card in cards.items() if card.change}
    assert changed >= {"cost", "calls", "per-call", "tokens", "latency", "runs"}


def test_a_total_says_how_many_calls_it_leaves_out() -> None:
    (cost, *_) = overview_cards(overview(total=Sums(cost_pico_usd=USD, calls=9, unpriced_events=3, late_events=2)))
    assert cost.warning == "3 calls unpriced, 2 late"


def test_payslips_with_a_budget_come_first_and_the_rest_below() -> None:
    page = payroll_page(
        payroll(budget("cassie", 24, 21)), PageState("/usage/acme-corp", "7d"), ["acme-corp"], has_events=True
    )
    assert [(slip.name, slip.budget.tone if slip.budget else None) for slip in page.slips] == [
        ("Cassie", "warn"),
        ("Dexter", None),
    ]
    assert page.slips[1].role == "chat, rag, plan … · mostly gpt-4o"


@pytest.mark.parametrize(("used", "tone"), [(23, "ok"), (24, "warn"), (29, "warn"), (30, "over"), (99, "over")])
def test_a_budget_warns_from_80_percent_and_is_over_from_100(used: int, tone: str) -> None:
    page = payroll_page(payroll(budget("dexter", 30, used)), PageState("/usage/acme-corp", "7d"), [], has_events=True)
    badge = page.slips[0].budget
    assert badge is not None
    assert (badge.tone, badge.used <= 1) == (tone, True)


def test_customers_have_their_share_of_the_whole() -> None:
    page = overview_page(overview(), STATE, ["acme-corp"])
    assert [(row.key, row.share) for row in page.customers] == [("alice", Decimal("0.5")), ("bob", Decimal("0.5"))]


def test_the_url_holds_the_state() -> None:
    state = PageState("/", "custom", "a&b=c", date(2026, 11, 1), date(2026, 11, 2), (("provider", "open ai"),))
    assert state.url() == ("/?tenant=a%26b%3Dc&range=custom&startDate=2026-11-01&endDate=2026-11-02&provider=open%20ai")
    assert state.with_range("7d") == "/?tenant=a%26b%3Dc&range=7d&provider=open%20ai"
    assert "provider" not in state.without_filter("provider")
    assert segment("a/b") == "a%2Fb"


def test_a_provider_has_its_colour_under_every_name_it_goes_by() -> None:
    assert colour_class("OpenAI") == "c-openai"
    assert colour_class("vertex_ai") == colour_class("google")
    assert colour_class("") == "c-rest"
    assert colour_class("somebody-new") == colour_class("somebody-new") != "c-rest"


def test_data_can_not_end_the_script_it_stands_in() -> None:
    assert "<" not in script_json({"x": "</script><script>alert(1)</script>"})


def test_a_breakdown_by_one_dimension_adds_up_the_others() -> None:
    rows = (
        ({"feature": "chat", "model": "m1"}, spent(3)),
        ({"feature": "chat", "model": "m2"}, spent(4)),
        ({"feature": "rag", "model": "m1"}, spent(1)),
    )
    found = Breakdown(spent(8, 30), None, rows)
    assert [(i.key, i.sums.cost_pico_usd // USD, i.sums.calls) for i in found.by("feature")] == [
        ("chat", 7, 20),
        ("rag", 1, 10),
    ]
    assert [(i.key, i.sub) for i in found.by("model", "feature")] == [("m2", "chat"), ("m1", "chat"), ("m1", "rag")]


def test_what_is_gone_stays_in_the_comparison() -> None:
    compared = compare((Item("a", spent(2)),), (Item("b", spent(1)),))
    assert [(i.key, i.sums.calls, i.before.calls if i.before else None) for i in compared] == [
        ("a", 10, 0),
        ("b", 0, 10),
    ]


def test_a_viewer_picks_only_what_it_may_see() -> None:
    tenants = (make_tenant(1, "acme-corp", "Acme", "UTC"), make_tenant(2, "bigco-inc", "Big", "Asia/Kathmandu"))
    viewer = Principal("k", "k", "viewer", "bigco-inc")
    scope = scope_for(viewer, tenants, None)
    assert (scope.names, scope.numbers, scope.zone.key) == (("bigco-inc",), (2,), "Asia/Kathmandu")
    for asked in ("acme-corp", "nobody"):
        with pytest.raises(UnknownTenant):
            scope_for(viewer, tenants, asked)


def test_a_tenants_key_without_events_sees_nothing_rather_than_everything() -> None:
    scope = scope_for(Principal("k", "k", "viewer", "not-yet"), (), None)
    assert (scope.tenant, scope.numbers) == (None, ())


def test_only_admins_find_the_doors_of_admins() -> None:
    def labels(principal: Principal) -> set[str]:
        return {link.label for group in navigation(principal, "overview", None, 0).groups for link in group.links}

    assert {"Keys", "Audit"} <= labels(Principal("a", "a", "admin", None))
    assert not {"Keys", "Audit"} & labels(Principal("v", "v", "viewer", None))
