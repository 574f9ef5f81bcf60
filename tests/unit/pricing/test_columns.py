"""Columns at the places where a mistake would hide: thresholds, ties, gaps, the edges of windows, cache hits, units."""

from itertools import product

import numpy as np

from pricing.book import read_book
from pricing.columns import UsageColumns, price_columns
from pricing.kernel import price_event
from tests.unit.pricing.test_windows import TEXT

BOOK = read_book(TEXT.replace('"0.15"', '"0.000001"'))
MODELS = ("big", "small", "big-mini-1", "nobody's")
SERVICE_TIERS = ("", "batch", "priority", "flex")
COUNTS = (0, 1, 3, 5, 999, 1000, 1001)
MOMENTS_US = (
    1_700_000_000_000_000,  # before the first entry
    1_740_000_000_000_000,  # in the first
    1_751_328_000_000_000 - 1,  # its last microsecond
    1_751_328_000_000_000,  # the gap
    1_795_176_000_000_000,  # Friday noon
    1_795_384_800_000_000 - 1,  # Sunday, just before 22:00
    1_795_384_800_000_000,
    1_795_395_600_000_000,  # Monday 01:00, both windows
)


def test_a_grid_of_edges_is_priced_as_single_events_are() -> None:
    rows = list(product(MODELS, SERVICE_TIERS, COUNTS, MOMENTS_US, (False, True), (0, 2)))
    keys = [("openai", model, service_tier) for model, service_tier in product(MODELS, SERVICE_TIERS)]
    units = {number: {"web_searches": row[5]} for number, row in enumerate(rows) if row[5]}
    counts = np.array([row[2] for row in rows], dtype=np.int64)
    priced = price_columns(
        BOOK,
        UsageColumns(
            n=len(rows),
            counts={"input_uncached": counts, "cache_read": counts // 1001},
            key_codes=np.array([keys.index(("openai", row[0], row[1])) for row in rows]),
            keys=keys,
            occurred_at_us=np.array([row[3] for row in rows]),
            cache_hit=np.array([row[4] for row in rows]),
            units=units,
        ),
    )
    for number, (model, service_tier, count, moment, cache_hit, _) in enumerate(rows):
        one = price_event(
            BOOK,
            {"input_uncached": count, "cache_read": count // 1001},
            provider="openai",
            model=model,
            occurred_at_us=moment,
            service_tier=service_tier,
            cache_hit=cache_hit,
            units=units.get(number),
        )
        assert bool(priced.unpriced[number]) == (one.cost_pico_usd is None), rows[number]
        assert priced.cost_pico_usd[number] == (one.cost_pico_usd or 0), rows[number]
        assert priced.prompt_cache_saved_pico_usd[number] == one.prompt_cache_saved_pico_usd, rows[number]
        assert priced.response_cache_saved_pico_usd[number] == one.response_cache_saved_pico_usd, rows[number]
        assert priced.entry_ids[priced.entry_codes[number]] == one.entry_id, rows[number]
        assert priced.tiers[priced.tier_codes[number]] == one.tier, rows[number]
    assert len(set(priced.cost_pico_usd.tolist())) > 20
