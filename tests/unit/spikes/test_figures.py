"""Figures as people read them."""

from __future__ import annotations

import pytest

from services.contracts.figures import count_text, share_text, times_text, usd_text


@pytest.mark.parametrize(
    ("pico_usd", "text"),
    [
        (12_345_670_000_000_000, "$12,345.67"),
        (4_310_000_000_000, "$4.31"),
        (42_700_000_000, "$0.0427"),
        (69_000_000, "$0.000069"),
        (500_000_000_000, "$0.50"),
        (999_999_999_999, "$1.00"),
        (0, "$0.00"),
        (-4_310_000_000_000, "-$4.31"),
    ],
)
def test_money_keeps_as_many_digits_as_it_needs(pico_usd: int, text: str) -> None:
    assert usd_text(pico_usd) == text


def test_counts_shares_and_ratios_are_short() -> None:
    assert [count_text(3_700.4), count_text(1.5), count_text(12)] == ["3,700", "1.5", "12"]
    assert [share_text(0.128), share_text(0.5)] == ["12.8 %", "50 %"]
    assert [times_text(4.08), times_text(1_234.5)] == ["4.1 ×", "1,234 ×"]
