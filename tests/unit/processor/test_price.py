"""Rows of storage columns are priced as single events are, by tenant and region too."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

from pricing.book import read_book
from pricing.kernel import price_event
from pricing.usage import USAGE_CLASSES
from services.processor.price import price_table_rows
from tests.unit.pricing.book_texts import RIGHT

AT_US = 1_790_000_000_000_000
NAMES = {
    "provider": ("openai", "azure", "nobody"),
    "model": ("big", "big-2026-01-01", "small", "bigger"),
    "service_tier": ("standard", "batch", "priority"),
    "region": ("", "eu", "us-gov", "mars"),
    "tenant_id": ("acme", "globex", "initech"),
}


@pytest.mark.parametrize("seed", range(5))
def test_a_table_is_priced_row_by_row(seed: int) -> None:
    draw, book = random.Random(seed), read_book(RIGHT)
    rows = [{name: draw.choice(values) for name, values in NAMES.items()} for _ in range(200)]
    usages = [{"input_uncached": draw.randrange(2_000), "output_text": draw.randrange(9)} for _ in rows]
    units = {row: {"web_searches": draw.randrange(3)} for row in range(0, len(rows), 7)}
    columns = {name: pa.chunked_array([pa.array([row[name] for row in rows])]) for name in NAMES}
    for name in USAGE_CLASSES:
        columns[name] = pa.chunked_array([pa.array([usage.get(name, 0) for usage in usages], pa.int64())])
    columns["occurred_at"] = pa.chunked_array([pa.array([AT_US] * len(rows)).cast(pa.timestamp("us", "UTC"))])
    columns["cache_hit"] = pa.chunked_array([pa.array([False] * len(rows))])
    priced = price_table_rows(columns, units, book)
    for number, (row, usage) in enumerate(zip(rows, usages, strict=True)):
        wanted = price_event(
            book, usage, provider=row["provider"], model=row["model"], occurred_at_us=AT_US, region=row["region"],
            service_tier=row["service_tier"], tenant=row["tenant_id"], units=units.get(number),
        )  # fmt: skip
        got = None if priced.unpriced[number] else int(priced.cost_pico_usd[number])
        assert (got, priced.entry_ids[priced.entry_codes[number]]) == (wanted.cost_pico_usd, wanted.entry_id)
