"""Figures as people read them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from services.query.pages.formats import (
    change,
    count,
    listing,
    milliseconds,
    money,
    money_exact,
    money_ticks,
    money_whole,
    per_call,
    percent,
    share,
    short,
)

USD = 10**12


@pytest.mark.parametrize(
    ("pico_usd", "text"),
    [
        (12_345_670_000_000_000, "$12,345.67"),
        (4_310_000_000_000, "$4.31"),
        (42_700_000_000, "$0.0427"),
        (69_000_000, "$0.000069"),
        (5_990_000_000, "$0.00599"),
        (500_000_000_000, "$0.50"),
        (999_900_000_000, "$1.00"),
        (0, "$0.00"),
        (1, "$0.000000000001"),
        (-4_310_000_000_000, "−$4.31"),
    ],
)
def test_money_keeps_as_many_digits_as_it_needs(pico_usd: int, text: str) -> None:
    assert money(pico_usd) == text


def test_whole_dollars_are_rounded_not_cut() -> None:
    assert (money_whole(770_950_000_000_000), money_whole(1_284_200_000_000_000)) == ("$771", "$1,284")


def test_the_exact_amount_has_every_digit() -> None:
    assert money_exact(96_791_325_000_000) == "$96.791325"
    assert money_exact(-69_000_000) == "−$0.000069"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (1_485, "1,485"),
        (9_999, "9,999"),
        (10_000, "10.0 k"),
        (999_960, "1.0 M"),
        (22_361_870, "22.4 M"),
        (318_400_000, "318.4 M"),
        (4_000_000_000, "4.0 B"),
        (7_654_000_000_000_000, "7,654.0 T"),
    ],
)
def test_large_counts_are_short(number: int, text: str) -> None:
    assert short(number).replace("\u202f", " ") == text


def test_ticks_of_an_axis_share_their_decimals() -> None:
    assert money_ticks(250 * USD, 5) == ["$0", "$50", "$100", "$150", "$200", "$250"]
    assert money_ticks(USD, 2) == ["$0", "$0.50", "$1.00"]
    assert money_ticks(6 * 10**8, 3) == ["$0", "$0.0002", "$0.0004", "$0.0006"]


@pytest.mark.parametrize(
    ("now", "before", "text", "direction"),
    [
        (112, 100, "▲ 12.0 %", "up"),
        (96, 100, "▼ 4.0 %", "down"),
        (100, 100, "± 0 %", "flat"),
        (250, 100, "▲ 150 %", "up"),
        (1_500, 100, "▲ 15 ×", "up"),
        (5, 0, "new", "new"),
        (0, 0, "± 0 %", "flat"),
        (0, 8, "▼ 100 %", "down"),
    ],
)
def test_a_change_carries_arrow_and_figure(now: int, before: int, text: str, direction: str) -> None:
    changed = change(now, before)
    assert (changed.text.replace("\u202f", " "), changed.direction) == (text, direction)


def test_a_change_is_spoken_without_its_arrow() -> None:
    assert change(112, 100).spoken.replace("\u202f", " ") == "up 12.0 %"
    assert change(5, 0).spoken == "new"


def test_shares_of_nothing_are_nothing() -> None:
    assert share(0, 0) == 0
    assert percent(share(3, 8)).replace("\u202f", " ") == "37.5 %"
    assert percent(Decimal("0.0001")).replace("\u202f", " ") == "< 0.1 %"


def test_an_average_of_no_calls_is_nothing() -> None:
    assert per_call(10, 0) == 0
    assert per_call(552_000_000, 8) == 69_000_000


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (Decimal("842.4"), "842 ms"), (Decimal(2_900), "2.9 s"), (Decimal(72_000), "1 min 12 s")],
)
def test_latency_reads_in_its_own_unit(value: Decimal | None, text: str) -> None:
    assert milliseconds(value).replace("\u202f", " ") == text


def test_lists_read_as_sentences() -> None:
    assert [listing(["a"]), listing(["a", "b"]), listing(["a", "b", "c"]), listing([])] == [
        "a",
        "a and b",
        "a, b and c",
        "",
    ]
    assert count(-1_234) == "−1,234"
