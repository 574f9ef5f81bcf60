"""Regions, discounts and overrides as arithmetic, on a small book whose numbers are easy."""

from datetime import UTC, datetime
from decimal import Decimal as d  # noqa: N813

import pytest

from pricing.book import read_book
from pricing.kernel import price_event
from pricing.money import usd_decimal

M = 1_000_000
BOOK = read_book(
    """
version: "regions and tenants"
units: {web_searches: a search}
providers:
  openai:
    source: https://example.com/prices
    checked: 2026-11-22
    rules:
      - {match: "gpt-x-20*", model: gpt-x, reason: "snapshots"}
    models:
      gpt-x:
        tier: standard
        entries:
          - effective_from: 2026-01-01
            prices: {input_uncached: "2.00", cache_read: "0.50", output_text: "8.00"}
            units: {web_searches: {usd: "10.00", per: 1000}}
            service_tiers:
              batch: {multiplier: "0.5"}
              priority: {prices: {input_uncached: "3.50", cache_read: "0.875", output_text: "14.00"}}
            regions:
              - {match: [eu, europe-west1], multiplier: "1.1"}
              - match: us-gov
                prices: {input_uncached: "3.00", cache_read: "0.75", output_text: "12.00"}
                service_tiers:
                  priority: {prices: {input_uncached: "6.00", cache_read: "1.50", output_text: "24.00"}}
          - effective_from: 2026-07-01
            prices: {input_uncached: "1.00", cache_read: "0.25", output_text: "4.00"}
            units: {web_searches: {usd: "10.00", per: 1000}}
      gpt-y:
        tier: cheap
        entries:
          - effective_from: 2026-01-01
            prices: {input_uncached: "0.10", output_text: "0.40"}
tenants:
  acme:
    - {provider: openai, model: "*", effective_from: 2026-02-01, effective_until: 2026-09-01, multiplier: "0.9", reason: "contract"}
    - {provider: openai, model: gpt-y, effective_from: 2026-02-01, multiplier: "0.5", reason: "pilot"}
  globex:
    - provider: openai
      model: gpt-x
      effective_from: 2026-03-01
      effective_until: 2026-10-01
      reason: "committed use"
      dropped: "priority is not part of it"
      prices: {input_uncached: "1.20", cache_read: "0.30", output_text: "5.00"}
      units: {web_searches: "0.008"}
      service_tiers: {batch: {multiplier: "0.6"}}
"""  # noqa: E501
)
OUT, IN = {"output_text": 1_000}, {"input_uncached": 1_000}

CASES = [
    ("list price where nobody says otherwise", {}, OUT, {}, 1000 * d("8.00") / M),
    ("a region's surcharge", {"region": "eu"}, OUT, {}, 1000 * d("8.00") * d("1.1") / M),
    ("a region by its other name", {"region": "europe-west1"}, IN, {}, 1000 * d("2.00") * d("1.1") / M),
    ("a surcharge on a batch", {"region": "eu", "service_tier": "batch"}, OUT, {}, 1000 * d("8.00") * d("0.55") / M),
    ("a surcharge on prices of their own", {"region": "eu", "service_tier": "priority"}, OUT, {},
     1000 * d("14.00") * d("1.1") / M),
    ("a surcharge leaves units alone", {"region": "eu"}, {}, {"web_searches": 3}, 3 * d("0.01")),
    ("a region with prices of its own", {"region": "us-gov"}, OUT, {}, 1000 * d("12.00") / M),
    ("its batch is half of these", {"region": "us-gov", "service_tier": "batch"}, OUT, {}, 1000 * d("6.00") / M),
    ("its priority is its own", {"region": "us-gov", "service_tier": "priority"}, OUT, {}, 1000 * d("24.00") / M),
    ("a region that is not listed", {"region": "ap-south-1"}, OUT, {}, 1000 * d("8.00") / M),
    ("a region only where an entry has it", {"region": "eu", "on": "2026-07-01"}, OUT, {}, 1000 * d("4.00") / M),
    ("before the contract", {"tenant": "acme", "on": "2026-01-31"}, OUT, {}, 1000 * d("8.00") / M),
    ("a discount", {"tenant": "acme"}, OUT, {}, 1000 * d("8.00") * d("0.9") / M),
    ("a discount on units too", {"tenant": "acme"}, {}, {"web_searches": 7}, 7 * d("0.009")),
    ("a discount by a snapshot's name", {"tenant": "acme", "model": "gpt-x-2026-01-01"}, OUT, {},
     1000 * d("8.00") * d("0.9") / M),
    ("a discount follows the list", {"tenant": "acme", "on": "2026-07-01"}, OUT, {}, 1000 * d("4.00") * d("0.9") / M),
    ("a discount that ended", {"tenant": "acme", "on": "2026-09-01"}, OUT, {}, 1000 * d("4.00") / M),
    ("a discount in a region", {"tenant": "acme", "region": "eu"}, OUT, {}, 1000 * d("8.00") * d("0.99") / M),
    ("a model's discount instead of all models'", {"tenant": "acme", "model": "gpt-y"}, OUT, {},
     1000 * d("0.40") * d("0.5") / M),
    ("an override", {"tenant": "globex"}, OUT, {}, 1000 * d("5.00") / M),
    ("an override's batch", {"tenant": "globex", "service_tier": "batch"}, OUT, {}, 1000 * d("3.00") / M),
    ("an override's unit", {"tenant": "globex"}, {}, {"web_searches": 2}, 2 * d("0.008")),
    ("an override stays when the list moves", {"tenant": "globex", "on": "2026-07-01"}, OUT, {}, 1000 * d("5.00") / M),
    ("an override that ended", {"tenant": "globex", "on": "2026-10-01"}, OUT, {}, 1000 * d("4.00") / M),
    ("another tenant pays the list price", {"tenant": "initech"}, OUT, {}, 1000 * d("8.00") / M),
]  # fmt: skip


@pytest.mark.parametrize(("name", "where", "usage", "units", "usd"), CASES, ids=[str(case[0]) for case in CASES])
def test_what_a_call_costs_there_and_for_whom(
    name: str, where: dict[str, str], usage: dict[str, int], units: dict[str, int], usd: d
) -> None:
    on = datetime.fromisoformat(where.get("on", "2026-06-30")).replace(tzinfo=UTC)
    result = price_event(
        BOOK, usage, units=units, provider="openai", model=where.get("model", "gpt-x"),
        occurred_at_us=int(on.timestamp()) * 1_000_000, service_tier=where.get("service_tier", ""),
        region=where.get("region", ""), tenant=where.get("tenant", ""),
    )  # fmt: skip
    assert result.cost_pico_usd is not None
    assert usd_decimal(result.cost_pico_usd) == usd


def test_a_row_says_whose_terms_priced_it() -> None:
    ids = [
        price_event(BOOK, OUT, provider="openai", model="gpt-x", occurred_at_us=1_781_000_000_000_000, tenant=tenant)
        for tenant in ("", "acme", "globex")
    ]
    assert [found.entry_id for found in ids] == [
        "openai/gpt-x@2026-01-01",
        "openai/gpt-x@2026-01-01 acme:openai/*@2026-02-01",
        "globex:openai/gpt-x@2026-03-01",
    ]


def test_an_override_prices_only_what_it_names() -> None:
    priority = price_event(
        BOOK, OUT, provider="openai", model="gpt-x", occurred_at_us=1_781_000_000_000_000, tenant="globex",
        service_tier="priority",
    )  # fmt: skip
    assert priority.cost_pico_usd is None
