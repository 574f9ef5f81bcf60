"""Prices by hour and weekday, and the rounding of a multiplier."""

from datetime import UTC, datetime

import pytest

from pricing.book import PriceBookError, read_book
from pricing.kernel import price_event
from tests.unit.pricing.book_texts import RIGHT

PEAK = """
            windows:
              - {days: [mon, tue, wed, thu, fri], from: "01:00", to: "04:00", multiplier: "2"}
              - {days: [sun], from: "22:00", to: "02:00", prices: {input_uncached: "7"}}
            service_tiers:
              batch: {multiplier: "0.5"}
              priority: {prices: {input_uncached: "9"}}
"""
TEXT = RIGHT.rstrip() + PEAK
TEXT = TEXT.replace('reason: "contract 8"', 'reason: "contract 8"\n      dropped: "no tiers in it"')
BOOK = read_book(TEXT)


def cost(at: str, count: int = 100, service_tier: str = "") -> int | None:
    at_us = int(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()) * 1_000_000
    usage = {"input_uncached": count}
    result = price_event(BOOK, usage, provider="openai", model="small", occurred_at_us=at_us, service_tier=service_tier)
    return result.cost_pico_usd


@pytest.mark.parametrize(
    ("at", "usd_per_million"),
    [
        ("2026-11-20T00:59:59", 0.15),  # Friday
        ("2026-11-20T01:00:00", 0.30),
        ("2026-11-20T03:59:59", 0.30),
        ("2026-11-20T04:00:00", 0.15),
        ("2026-11-21T02:00:00", 0.15),  # Saturday
        ("2026-11-22T21:59:59", 0.15),  # Sunday
        ("2026-11-22T22:00:00", 7),
        ("2026-11-23T00:59:59", 7),  # Monday, still Sunday's window
        ("2026-11-23T01:00:00", 0.30),  # both windows hold, the first wins
        ("2026-11-24T00:30:00", 0.15),  # Tuesday
        ("1969-12-29T01:00:00", None),  # a Monday before the epoch, and before the entry
    ],
)
def test_a_window_holds_on_its_days_across_midnight_and_the_week_s_end(at: str, usd_per_million: float | None) -> None:
    assert cost(at) == (None if usd_per_million is None else round(usd_per_million * 100 * 10**6))


def test_a_multiplier_of_a_service_tier_applies_in_the_window_too_and_own_prices_do_not_change() -> None:
    assert cost("2026-11-20T01:00:00", service_tier="batch") == 15_000_000
    assert cost("2026-11-22T22:00:00", service_tier="batch") == 350_000_000
    assert cost("2026-11-22T22:00:00", service_tier="priority") == 900_000_000


@pytest.mark.parametrize(("price", "count", "pico"), [("0.000001", 1, 0), ("0.000001", 3, 2), ("0.000001", 5, 2)])
def test_half_a_pico_dollar_is_rounded_to_even_once_per_event(price: str, count: int, pico: int) -> None:
    book = read_book(TEXT.replace('"0.15"', f'"{price}"'))
    at_us = 1_795_176_000_000_000  # a Friday noon
    result = price_event(
        book, {"input_uncached": count}, provider="openai", model="small", occurred_at_us=at_us, service_tier="batch"
    )
    assert result.cost_pico_usd == pico


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('from: "01:00"', 'from: "1:00"', "is not a time of day"),
        ('from: "01:00"', 'from: "24:30"', "is not a time of day"),
        ('from: "01:00"', "from: 16:00", "must be a quoted"),
        ("days: [sun]", "days: [sunday]", "'sunday' is not one of"),
        ("days: [sun]", "days: sun", "must be a list of mon"),
        ('from: "01:00", ', "", "windows.from: is missing"),
        (', multiplier: "2"', "", "prices nothing"),
        ('{input_uncached: "7"}', '{output_text: "7"}', "windows.prices.input_uncached: is missing"),
    ],
)
def test_a_wrong_window_is_refused(before: str, after: str, message: str) -> None:
    assert before in TEXT
    with pytest.raises(PriceBookError, match=message):
        read_book(TEXT.replace(before, after))
