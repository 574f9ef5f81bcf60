"""Pricing a column is pricing each of its rows."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.book import read_book
from pricing.columns import PricedColumns, UsageColumns, price_columns
from pricing.entries import PriceBook
from pricing.kernel import PriceResult, price_event
from pricing.money import PriceOverflowError
from pricing.table import PriceKey
from tests.property.pricing.random_books import CLASSES, Data, book_text, books, events


def columns_of(rows: list[Data]) -> UsageColumns:
    names = ("provider", "model", "service_tier", "region", "tenant")
    each: list[PriceKey] = [tuple(row[name] for name in names) for row in rows]
    keys = list(dict.fromkeys(each))
    codes = [keys.index(key) for key in each]
    return UsageColumns(
        n=len(rows),
        counts={name: np.array([row["usage"].get(name, 0) for row in rows], dtype=np.int64) for name in CLASSES},
        key_codes=np.array(codes, dtype=np.int64),
        keys=keys,
        occurred_at_us=np.array([row["occurred_at_us"] for row in rows], dtype=np.int64),
        cache_hit=np.array([row["cache_hit"] for row in rows], dtype=np.bool_),
        units={number: row["units"] for number, row in enumerate(rows) if row["units"]},
    )


def one(book: PriceBook, row: Data) -> PriceResult:
    arguments: dict[str, Any] = {name: value for name, value in row.items() if name != "usage"}
    return price_event(book, row["usage"], **arguments)


def row_of(priced: PricedColumns, number: int) -> tuple[int | None, int, int, str, str]:
    return (
        None if priced.unpriced[number] else int(priced.cost_pico_usd[number]),
        int(priced.prompt_cache_saved_pico_usd[number]),
        int(priced.response_cache_saved_pico_usd[number]),
        priced.entry_ids[priced.entry_codes[number]],
        priced.tiers[priced.tier_codes[number]],
    )


def as_row(result: PriceResult) -> tuple[int | None, int, int, str, str]:
    return (
        result.cost_pico_usd,
        result.prompt_cache_saved_pico_usd,
        result.response_cache_saved_pico_usd,
        result.entry_id,
        result.tier,
    )


@settings(deadline=None, max_examples=80)
@given(books(), st.lists(events(), max_size=20))
def test_columns_price_each_row_as_a_single_event_is_priced(data: Data, rows: list[Data]) -> None:
    book = read_book(book_text(data))
    priced = price_columns(book, columns_of(rows))
    assert [row_of(priced, number) for number in range(len(rows))] == [as_row(one(book, row)) for row in rows]
    assert not priced.cost_pico_usd[priced.unpriced].any()


@settings(deadline=None, max_examples=40)
@given(books(dear=True), st.lists(events(most=10**9), min_size=1, max_size=8))
def test_amounts_near_the_limit_are_exact_or_refused_by_row(data: Data, rows: list[Data]) -> None:
    book = read_book(book_text(data))
    refused = []
    for number, row in enumerate(rows):
        try:
            one(book, row)
        except PriceOverflowError:
            refused.append(number)
    if refused:
        with pytest.raises(PriceOverflowError) as error:
            price_columns(book, columns_of(rows))
        assert error.value.rows == tuple(refused)
    kept = [row for number, row in enumerate(rows) if number not in refused]
    priced = price_columns(book, columns_of(kept))
    assert [row_of(priced, number) for number in range(len(kept))] == [as_row(one(book, row)) for row in kept]


@settings(deadline=None, max_examples=40)
@given(books(), st.lists(events(), max_size=20), st.integers(0, 20))
def test_splitting_a_batch_changes_nothing(data: Data, rows: list[Data], at: int) -> None:
    book = read_book(book_text(data))
    whole = price_columns(book, columns_of(rows))
    parts = [(price_columns(book, columns_of(part)), len(part)) for part in (rows[:at], rows[at:])]
    together = [row_of(part, number) for part, size in parts for number in range(size)]
    assert together == [row_of(whole, number) for number in range(len(rows))]
