"""What one event may count and cost, and columns that don't fit together."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pricing.book import read_book
from pricing.columns import UsageColumns, price_columns
from pricing.kernel import price_event
from pricing.money import PriceOverflowError, UsageCountError
from pricing.usage import COMPLETION_CLASSES, PROMPT_CLASSES, USAGE_CLASSES
from tests.unit.pricing.book_texts import RIGHT

BOOK = read_book(RIGHT)
DEAR = read_book(RIGHT.replace('"0.15"', '"100000"'))
AT_US = 1_790_000_000_000_000


def columns(counts: list[int]) -> UsageColumns:
    n = len(counts)
    return UsageColumns(
        n=n,
        counts={"input_uncached": np.array(counts, dtype=np.int64)},
        key_codes=np.zeros(n, dtype=np.int64),
        keys=[("openai", "small", "")],
        occurred_at_us=np.full(n, AT_US, dtype=np.int64),
        cache_hit=np.zeros(n, dtype=np.bool_),
    )


def test_every_class_is_prompt_or_completion() -> None:
    assert sorted(PROMPT_CLASSES + COMPLETION_CLASSES) == sorted(USAGE_CLASSES)
    assert len(USAGE_CLASSES) == len(set(USAGE_CLASSES)) == 10


@pytest.mark.parametrize("model", ["small", "nobody's"])
@pytest.mark.parametrize(
    ("usage", "units", "error"),
    [
        ({"input_uncached": -1}, {}, UsageCountError),
        ({"input_uncached": 10**9 + 1}, {}, PriceOverflowError),
        ({"input_tokens": 1}, {}, UsageCountError),
        ({}, {"web_searches": -1}, UsageCountError),
        ({}, {"web_searches": 10**9 + 1}, PriceOverflowError),
    ],
)
def test_a_bad_count_is_refused_whether_there_is_a_price_or_not(
    usage: dict[str, int], units: dict[str, int], error: type[Exception], model: str
) -> None:
    with pytest.raises(error):
        price_event(BOOK, usage, provider="openai", model=model, occurred_at_us=AT_US, units=units)


def test_a_cost_beyond_the_limit_is_refused_in_both_ways() -> None:
    usage = {"input_uncached": 10**9}
    with pytest.raises(OverflowError):
        price_event(DEAR, usage, provider="openai", model="small", occurred_at_us=AT_US)
    with pytest.raises(PriceOverflowError) as error:
        price_columns(DEAR, columns([1, 10**9, 46_116_860, 10**9]))
    assert error.value.rows == (1, 3)


def test_a_cost_up_to_the_limit_of_2_to_the_62_is_exact() -> None:
    assert 46_116_860 * 10**11 < 2**62 < 46_116_861 * 10**11
    assert price_columns(DEAR, columns([46_116_860])).cost_pico_usd.tolist() == [46_116_860 * 10**11]
    with pytest.raises(PriceOverflowError) as error:
        price_columns(DEAR, columns([46_116_860, 46_116_861]))
    assert error.value.rows == (1,)
    with pytest.raises(PriceOverflowError):
        price_event(DEAR, {"input_uncached": 46_116_861}, provider="openai", model="small", occurred_at_us=AT_US)


def test_columns_name_the_rows_with_bad_counts() -> None:
    with pytest.raises(UsageCountError) as negative:
        price_columns(BOOK, columns([1, -1, 2, -3]))
    assert negative.value.rows == (1, 3)
    with pytest.raises(PriceOverflowError) as huge:
        price_columns(BOOK, columns([1, 2, 10**9 + 1]))
    assert huge.value.rows == (2,)
    with pytest.raises(UsageCountError) as unit:
        price_columns(BOOK, replace(columns([1, 2]), units={1: {"web_searches": -1}}))
    assert unit.value.rows == (1,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 3}, "shape"),
        ({"cache_hit": np.zeros(1, dtype=np.bool_)}, "cache_hit has shape (1,), not (2,)"),
        ({"key_codes": np.array([0, 1])}, "key_codes go outside the 1 keys"),
        ({"key_codes": np.array([0, -1])}, "key_codes go outside the 1 keys"),
        ({"counts": {"input_uncached": np.array([0.5, 1])}}, "float64, not int64"),
        ({"counts": {"tokens": np.array([1, 1])}}, "no usage class 'tokens'"),
        ({"units": {2: {"web_searches": 1}}}, "units name a row outside the batch"),
    ],
)
def test_columns_that_do_not_fit_together_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        price_columns(BOOK, replace(columns([1, 2]), **change))


def test_an_empty_batch_is_priced_as_nothing() -> None:
    priced = price_columns(BOOK, replace(columns([]), keys=[]))
    assert priced.cost_pico_usd.shape == priced.unpriced.shape == priced.entry_codes.shape == (0,)
