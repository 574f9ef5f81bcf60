"""The fifty models that are asked for most cost what was read in two sources: `most_used.yaml`."""

from __future__ import annotations

from datetime import UTC, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from pricing.book import load_book
from pricing.kernel import price_event
from pricing.money import usd_decimal

BOOK = load_book()
READ: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("most_used.yaml").read_text())
MODELS: list[dict[str, Any]] = READ["models"]


def test_there_are_fifty_and_each_was_read_in_two_sources() -> None:
    names = [(row["provider"], row["model"]) for row in MODELS]
    assert len(names) == len(set(names)) == 50
    for row in MODELS:
        assert len(set(row["seen_in"])) >= 2, row
        assert set(row["seen_in"]) <= set(READ["sources"]), row


@pytest.mark.parametrize("row", MODELS, ids=lambda row: f"{row['provider']}/{row['model']}")
def test_each_costs_what_was_read(row: dict[str, Any]) -> None:
    # Noon UTC: off DeepSeek's peak.
    noon = datetime.combine(READ["as_of"], time(12), UTC)
    for usage_class, usd_per_million in row["prices"].items():
        priced = price_event(
            BOOK, {usage_class: 1_000}, provider=row["provider"], model=row["model"],
            occurred_at_us=int(noon.timestamp()) * 1_000_000,
        )  # fmt: skip
        assert priced.cost_pico_usd is not None, priced.unpriced_reason
        assert usd_decimal(priced.cost_pico_usd) == Decimal(usd_per_million) / 1_000, usage_class
