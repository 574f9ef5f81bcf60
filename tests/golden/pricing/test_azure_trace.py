"""The totals of the public Azure trace (conversation, 2023) at gpt-4o's price."""

import numpy as np

from pricing.book import load_book
from pricing.columns import UsageColumns, price_columns
from pricing.kernel import price_event
from pricing.money import usd_string

YESTERDAY_US = 1_790_000_000_000_000


def test_the_azure_trace_costs_what_plain_arithmetic_says() -> None:
    usage = {"input_uncached": 22_361_870, "output_text": 4_088_665}
    result = price_event(load_book(), usage, provider="openai", model="gpt-4o", occurred_at_us=YESTERDAY_US)
    # OpenAI's price page: $2.50 in, $10.00 out per million tokens.
    assert result.cost_pico_usd == 22_361_870 * 2_500_000 + 4_088_665 * 10_000_000
    assert usd_string(result.cost_pico_usd) == "96.791325"


def test_columns_give_the_same_total() -> None:
    columns = UsageColumns(
        n=2,
        counts={"input_uncached": np.array([22_361_870, 0]), "output_text": np.array([0, 4_088_665])},
        key_codes=np.zeros(2, dtype=np.int64),
        keys=[("openai", "gpt-4o", "")],
        occurred_at_us=np.full(2, YESTERDAY_US),
        cache_hit=np.zeros(2, dtype=np.bool_),
    )
    assert usd_string(int(price_columns(load_book(), columns).cost_pico_usd.sum())) == "96.791325"
