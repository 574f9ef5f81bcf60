"""What the loader refuses, and that it says everything at once with file, line and key."""

from pathlib import Path

import pytest

from pricing.book import PriceBookError, load_book, read_book
from pricing.kernel import price_event
from tests.unit.pricing.book_texts import RIGHT

LAST_ENTRIES = RIGHT[RIGHT.rindex("entries:") :]
SECOND_ENTRY = "2026-01-01T16:00:00Z"

TWICE = (
    'effective_from: 2026-06-01, multiplier: "0.8", reason: "contract 9"}\n'
    '    - {provider: openai, model: "*", effective_from: 2026-02-01, effective_until'
)

WRONG = {
    "a float": ('input_uncached: "0.15"', "input_uncached: 0.15", "input_uncached: must be a quoted decimal string"),
    "an integer": ('input_uncached: "0.15"', "input_uncached: 1", "input_uncached: must be a quoted decimal string"),
    "nothing": ('input_uncached: "0.15"', "input_uncached: ", "input_uncached: must be a quoted decimal string"),
    "a negative price": ('"0.15"', '"-0.15"', "input_uncached: a price is not negative"),
    "an exponent": ('"0.15"', '"15e-2"', "not a plain decimal number"),
    "an inexact price": ('"0.15"', '"0.1500001"', "more than 6 decimal places"),
    "a price beyond reason": ('"0.15"', '"150000000"', "beyond what a token can cost"),
    "an unknown class": ('{input_uncached: "0.15"', '{input_uncachd: "0.15"', "unknown usage class"),
    "an unknown key": ("tier: cheap", "tier: cheap\n        colour: red", "colour: unknown key"),
    "a key given twice": ("tier: cheap", "tier: cheap\n        tier: cheap", "tier: is given twice"),
    "an unknown tier": ("tier: cheap", "tier: free", "'free' is not one of cheap, standard, premium"),
    "no tier": ("tier: cheap", "", "openai/small.tier: is missing"),
    "an unknown unit": ("units: {web_searches:", "units: {web_serches:", "web_serches: unknown unit"),
    "an inexact unit price": ("per: 1000}", "per: 7}", "must be exact"),
    "a unit per nothing": ("per: 1000}", "per: 0}", "must be a whole number above zero"),
    "a unit price without its per": (", per: 1000}", "}", "web_searches.per: is missing"),
    "a fallback to a class without price": (
        "output_reasoning: output_text}\n            units",
        "output_reasoning: output_audio}\n            units",
        "falls back to output_audio, which has no price here",
    ),
    "a band without a class": (
        'cache_read: "2.50", output_text: "15"',
        'output_text: "15"',
        "long_context.prices.cache_read: is missing",
    ),
    "a band with a class of its own": (
        '{input_uncached: "5.00",',
        '{input_uncached: "5.00", input_audio: "1",',
        "is priced here but not in the entry's own",
    ),
    "a service tier without a class": (
        '{input_uncached: "4", cache_read: "2",',
        '{input_uncached: "4",',
        "priority.prices.cache_read: is missing",
    ),
    "an unknown service tier": ("batch: {multiplier", "bach: {multiplier", "unknown service tier"),
    "a multiplier that is a float": ('multiplier: "0.5"', "multiplier: 0.5", "must be a quoted decimal string"),
    "a multiplier below zero": ('multiplier: "0.5"', 'multiplier: "-0.5"', "must be from 0 to 100"),
    "a date that isn't one": (SECOND_ENTRY, "2026-02-30", "'2026-02-30' is not a date"),
    "a date as an American writes it": (SECOND_ENTRY, "02/03/2026", "is not a date"),
    "two entries from the same day": (SECOND_ENTRY, "2025-01-01", "overlaps the entry after it"),
    "an entry that ends in the next": ("effective_until: 2025-07-01", "effective_until: 2026-07-01", "overlaps"),
    "an entry that ends before it begins": (
        "effective_until: 2025-07-01",
        "effective_until: 2024-07-01",
        "is not after effective_from",
    ),
    "an entry without prices": ('prices: {input_uncached: "0.15"}', "checked: 2026-01-01", "prices nothing"),
    "a source that is no address": (
        "source: https://example.com/prices",
        "source: the web",
        "must be an https:// address",
    ),
    "no source": ("    source: https://example.com/prices\n", "", "openai.source: is missing"),
    "a rule to a model that isn't there": (
        "model: small, reason",
        "model: smal, reason",
        "'smal' is not one of big, small",
    ),
    "a spelling that is no whole part": ('{match: "big-*", model: big,', '{spelling: "big-",', "must end in a slash"),
    "a spelling without a reason": (
        '{match: "big-*", model: big, reason: "other snapshots"}',
        "{spelling: x/}",
        "rules.reason: is missing",
    ),
    "a rule without a reason": (', reason: "a snapshot"', "", "openai.rules.reason: is missing"),
    "a rule for a model that is there": ("match: big-2026-01-01", "match: small", "'small' is already a model"),
    "a rule that is never reached": ('match: "big-mini-*"', 'match: "big-*"', "is never reached"),
    "a wildcard in the middle": ('match: "big-mini-*"', 'match: "big-*-x"', "may end in a single *"),
    "a provider alias by prefix": ("match: [azure]", 'match: ["azure*"]', "may end in a single *"),
    "a gap without a word": (
        '            gap: "withdrawn for half a year"\n',
        "",
        "entries.gap: no price until the next",
    ),
    "a class that is gone": (
        '"10", output_text: "30"}',
        '"10", output_text: "30", input_audio: "9"}',
        "had a price in the",
    ),
    "ten times the entry before": (
        '{input_uncached: "10", output',
        '{input_uncached: "0.25", output',
        "is 10 times off",
    ),
    "a tenth of the entry before": (
        '{input_uncached: "10", output',
        '{input_uncached: "25", output',
        "is 10 times off",
    ),
    "float noise above": ('"0.15"', '"0.150001"', "noise of a binary float"),
    "float noise below": ('"0.15"', '"2.499999"', "noise of a binary float"),
    "a date of another century": (SECOND_ENTRY, "2206-01-01", "is not a date"),
    "a region given twice": ("match: us-gov", "match: eu", "region 'eu' is given twice"),
    "a region without a class": (
        'prices: {input_uncached: "3", cache_read: "1.5",',
        'prices: {input_uncached: "3",',
        "cache_read: is",
    ),
    "a region that lacks a service tier with prices of its own": (
        "                service_tiers:\n                  priority: {prices:",
        "                # {",
        "regions.service_tiers.priority: is missing: it has prices of its own",
    ),
    "a region with a multiplier and prices": (
        '[eu, eu-west-1], multiplier: "1.1"',
        '[eu, eu-west-1], multiplier: "1.1", prices: {input_uncached: "1"}',
        "has a multiplier, so no prices",
    ),
    "terms for an unknown provider": (
        "- {provider: openai",
        "- {provider: opnai",
        "tenants.acme.provider: 'opnai' is not",
    ),
    "terms for an unknown model": (
        "      model: small\n",
        "      model: smal\n",
        "tenants.acme.model: 'smal' is not one of",
    ),
    "terms without a reason": (', reason: "contract 7"', "", "tenants.acme.reason: is missing"),
    "terms without a date": ("      effective_from: 2026-03-01\n", "", "tenants.acme.effective_from: is missing"),
    "terms with neither prices nor multiplier": ('multiplier: "0.9", ', "", "prices nothing"),
    "terms that lack a class of the list price": (
        '{input_uncached: "0.10"}',
        '{output_text: "0.10"}',
        "tenants.acme.prices.input_uncached: is missing: the list price has it (openai/small@2025-01-01)",
    ),
    "terms that overlap": (
        "effective_from: 2026-02-01, effective_until",
        TWICE,
        "tenants.acme: overlaps the term after",
    ),
    "prices for all models": ('multiplier: "0.9"', 'prices: {input_uncached: "1"}', "prices of its own need a model"),
    "a discount that makes a unit inexact": ('{usd: "10.00", per: 1000}', '"0.000000000001"', "inexact: web_searches"),
    "no entries": (LAST_ENTRIES, "entries: []\n", "must be a list with something in it"),
}


def test_the_small_book_is_right() -> None:
    assert read_book(RIGHT).version.startswith("1+")
    assert read_book(RIGHT).version == read_book(RIGHT).version != read_book(RIGHT + "\n").version


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_book_is_refused_with_the_place(name: str) -> None:
    before, after, message = WRONG[name]
    assert before in RIGHT
    with pytest.raises(PriceBookError) as error:
        read_book(RIGHT.replace(before, after, 1), Path("book.yaml"))
    assert message in str(error.value)
    assert all(line.startswith("book.yaml:") for line in str(error.value).splitlines())


def test_all_errors_are_told_at_once_each_with_its_line() -> None:
    text = RIGHT.replace('"0.15"', "0.15").replace("tier: premium", "tier: golden").replace('"10", ', '"ten", ')
    with pytest.raises(PriceBookError) as error:
        read_book(text, Path("book.yaml"))
    assert str(error.value).splitlines() == [
        "book.yaml:25: openai/big.tier: 'golden' is not one of cheap, standard, premium",
        "book.yaml:30: openai/big.entries.prices.input_uncached: not a plain decimal number: 'ten'",
        "book.yaml:50: openai/small.entries.prices.input_uncached: must be a quoted decimal string, not 0.15",
    ]


OVERRIDES = """{"acme": [
{"provider": "openai", "model": "big", "effective_from": "2026-05-01", "multiplier": "0.5", "reason": "by an admin"}
]}"""


def test_overrides_from_elsewhere_are_terms_of_the_book_and_in_its_version() -> None:
    plain, book = read_book(RIGHT), read_book(RIGHT, overrides=OVERRIDES)
    assert book.version.startswith(f"{plain.version}+overrides.")
    assert book.version != read_book(RIGHT, overrides=OVERRIDES.replace("0.5", "0.6")).version
    usage, at_us = {"input_uncached": 1_000}, 1_780_000_000_000_000  # 2026-05-28
    bills = [
        price_event(one, usage, provider="openai", model="big", occurred_at_us=at_us, tenant="acme").cost_pico_usd
        for one in (plain, book)
    ]
    assert bills == [1_000 * 2_500_000 * 9 // 10, 1_000 * 2_500_000 // 2], "a model's own term goes before one for all"


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('"big"', '"bog"', "overrides.acme.model: 'bog' is not one of"),
        ('"0.5"', "0.5", "overrides.acme.multiplier: must be a quoted decimal string"),
        ("2026-05-01", "2026-02-30", "overrides.acme.effective_from: '2026-02-30' is not a date"),
        ('"big"', '"*"', "tenants.acme: overlaps the term after it"),
        ('"multiplier": "0.5"', '"prices": {"output_text": "1"}', "overrides.acme.prices.cache_read: is missing"),
        ('"multiplier": "0.5"', '"prices": {"output_text": "1"}', "overrides.acme.service_tiers.batch: is missing"),
        ("]}", "", "overrides: "),
    ],
)
def test_overrides_that_are_wrong_make_no_book(before: str, after: str, message: str) -> None:
    with pytest.raises(PriceBookError) as error:
        read_book(RIGHT, overrides=OVERRIDES.replace(before, after, 1))
    assert message in str(error.value)


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "[1, 2]", "version: [", "a: b: c", "\t- x", "version: \x00", "&a [*a]"]
)
def test_what_is_no_book_is_refused(text: str) -> None:
    with pytest.raises(PriceBookError):
        read_book(text)


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PriceBookError, match="cannot be read"):
        load_book(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"version: \xe9")
    with pytest.raises(PriceBookError, match="not UTF-8"):
        load_book(tmp_path / "latin.yaml")
