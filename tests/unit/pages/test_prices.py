"""The price book as rows and as a chart, and an override as a form."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from pricing.book import read_book
from services.query.api.price_overrides import StoredOverride
from services.query.pages.charts import step_lines
from services.query.pages.forms import FormFault
from services.query.pages.override_form import name_of, new_override, override_rows
from services.query.pages.prices import history_chart, model_rows, unpriced_sentence
from tests.unit.pricing.book_texts import RIGHT

NOW = datetime(2026, 3, 10, tzinfo=UTC)
BIG = read_book(RIGHT).providers["openai"].models["big"]
TYPED = {
    "tenant_id": "acme", "provider": "openai", "model": "big", "effective_from": "2027-01-01", "reason": "contract",
    "kind": "prices", "price_output_text": "$8.00", "price_output_reasoning": "output_text", "tier_batch": "0.5",
    "units": "web_searches 0.009",
}  # fmt: skip


def test_a_models_history_has_a_point_a_month_and_a_gap_where_it_had_no_price() -> None:
    chart = history_chart(BIG, NOW)
    assert chart.titles[0] == "January 2025" and chart.titles[-1] == "March 2026 · now"
    prompt = dict(zip(chart.titles, chart.series[0].texts, strict=True))
    assert (prompt["June 2025"], prompt["July 2025"], prompt["December 2025"]) == ("$10.00", "", "")
    assert prompt["January 2026"] == "$2.50"
    cached = next(series for series in chart.series if series.label == "cached")
    assert cached.texts[:12] == ("",) * 12, "a class that had no price is not free"
    assert [len(line.split()) for line in step_lines(chart.series[0], chart.axis.top)] == [2 * 6, 2 * 3]


def test_entries_come_newest_first_and_say_what_else_differs() -> None:
    newest, oldest = model_rows("openai", BIG, NOW.date())
    assert (newest.current, oldest.current) == (True, False)
    assert newest.prices == ("$2.50", "$1.25", "", "$10.00")
    assert newest.host and f"//{newest.host}/" in newest.source.replace("//www.", "//"), "the page is named by its host"
    assert "above 1,000 prompt tokens dearer" in newest.more and "by region" in newest.more


def test_unpriced_models_are_counted_in_the_sentence() -> None:
    rows = [{"provider": "in-house", "model": f"m{n}", "calls": 10 - n} for n in range(5)]
    words = "".join(part.text for part in unpriced_sentence(rows))
    assert words.startswith("in-house/m0, in-house/m1 and in-house/m2 and 2 more have no price yet: 40 calls")


def test_an_override_is_read_from_its_form() -> None:
    body = new_override(TYPED)
    assert body.terms() == {
        "prices": {"output_text": "8.00", "output_reasoning": "output_text"},
        "service_tiers": {"batch": {"multiplier": "0.5"}},
        "units": {"web_searches": "0.009"},
    }
    assert body.past is False and body.effective_until is None
    assert new_override({**TYPED, "kind": "discount", "multiplier": "0.9"}).terms() == {"multiplier": "0.9"}


@pytest.mark.parametrize(("field", "typed"), [("units", "0.009"), ("reason", ""), ("tenant_id", "")])
def test_a_field_that_can_not_be_read_is_named(field: str, typed: str) -> None:
    with pytest.raises(FormFault) as wrong:
        new_override({**TYPED, field: typed})
    assert set(wrong.value.faults) == {field}


def test_what_the_book_complains_of_stands_at_its_field() -> None:
    places = ("prices.cache_read", "service_tiers.batch.multiplier", "units.pages", "override", "effective_from")
    assert [name_of(place) for place in places] == ["price_cache_read", "tier_batch", "units", "", "effective_from"]


def test_a_row_says_what_is_paid_from_when_and_whether_it_is_over() -> None:
    begun, ended = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, 8, tzinfo=UTC)
    terms = ({"multiplier": "0.9"}, {"prices": {"input_uncached": "1", "output_text": "2"}})
    rows = override_rows(
        [
            StoredOverride(UUID(int=1), "acme", "openai", "*", begun, None, terms[0], "x", begun, "an admin"),
            StoredOverride(UUID(int=2), "acme", "openai", "big", begun, ended, terms[1], "x", begun, "an admin"),
        ],
        NOW,
    )
    assert [(row.what, row.pays, row.until, row.state) for row in rows] == [
        ("all of openai", "list × 0.9", "", "in force"),
        ("openai/big", "prompt 1, completion 2", "2026-02-01 08:00:00Z", "over"),
    ]
