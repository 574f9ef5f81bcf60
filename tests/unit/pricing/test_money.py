"""Pico-USD in and out."""

from decimal import Decimal

import pytest

from pricing.money import (
    MoneyOverflowError,
    checked_int64,
    multiply_half_even,
    parse_usd,
    pico_from_usd_per_million,
    usd_decimal,
    usd_string,
)


@pytest.mark.parametrize(
    ("price", "pico"),
    [("2.50", 2_500_000), ("0.003625", 3_625), ("0.000001", 1), ("0", 0), (Decimal("1E+2"), 100_000_000)],
)
def test_a_price_per_million_is_whole_pico_dollars_per_token(price: str | Decimal, pico: int) -> None:
    assert pico_from_usd_per_million(price) == pico


@pytest.mark.parametrize("price", ["0.0000001", "-1", "1e3", "NaN", "", "1,5", " 1", "١", Decimal("NaN"), "0x1"])
def test_a_price_that_is_not_exact_or_not_plain_is_refused(price: str | Decimal) -> None:
    with pytest.raises(ValueError, match=r"decimal|negative"):
        pico_from_usd_per_million(price)


def test_a_binary_float_is_not_money() -> None:
    with pytest.raises(TypeError):
        pico_from_usd_per_million(2.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pico", "text"),
    [
        (96_791_325_000_000, "96.791325"),
        (0, "0"),
        (1, "0.000000000001"),
        (-1_500_000_000_000, "-1.5"),
        (10**12, "1"),
        (10 * 10**12, "10"),
        (2**63 - 1, "9223372.036854775807"),
    ],
)
def test_amounts_are_exact_decimals_without_exponent_and_read_back(pico: int, text: str) -> None:
    assert usd_string(pico) == text
    assert parse_usd(text) == pico
    assert str(usd_decimal(pico)) == text or usd_decimal(pico) == Decimal(text)


def test_an_amount_beyond_64_bits_is_refused() -> None:
    assert checked_int64(2**63 - 1) == 2**63 - 1
    with pytest.raises(MoneyOverflowError):
        checked_int64(2**63)
    with pytest.raises(MoneyOverflowError):
        parse_usd("9223372.036854775808")


@pytest.mark.parametrize(
    ("amount", "rounded"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 2), (6, 3), (7, 4), (-1, 0), (-3, -2), (-5, -2)]
)
def test_a_half_is_rounded_to_even(amount: int, rounded: int) -> None:
    assert multiply_half_even(amount, 1, 2) == rounded
