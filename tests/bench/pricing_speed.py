"""How fast the money kernel prices: columns, and one event at a time; and in the same run how fast its peers do."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import numpy as np

from pricing.book import DEFAULT_BOOK_PATH, read_book, read_text
from pricing.columns import UsageColumns, price_columns
from pricing.entries import PriceBook
from pricing.kernel import price_event
from pricing.table import PriceKey
from services.contracts.overrides import Override, overrides_text
from tests.bench.peers import run_beside_peers

_ROWS = 1_000_000
_ONE_BY_ONE = 100_000
_PLAIN: tuple[PriceKey, ...] = (("openai", "gpt-4o", ""), ("openai", "gpt-4o-mini", ""))
_HARD: tuple[PriceKey, ...] = (
    ("openai", "gpt-5.4", ""), ("openai", "gpt-5.6-luna", "batch"), ("anthropic", "claude-sonnet-4-5", ""),
    ("anthropic", "claude-haiku-5-5", ""), ("google", "gemini-2.5-pro", ""), ("mistral", "mistral-large-4", ""),
    ("openai", "gpt-4o-mini", "priority"),
)  # fmt: skip
# The same for three tenants: one pays the list price, one has a discount on all of three providers, one on some models.
_TERMS: tuple[PriceKey, ...] = tuple((*key[:3], "", tenant) for tenant in ("", "acme", "bigco") for key in _HARD)
_SINCE = datetime(2026, 1, 1, tzinfo=UTC)
_OVERRIDES = [
    *(
        Override("acme", name, "*", _SINCE, None, {"multiplier": "0.9"}, "x")
        for name in ("openai", "anthropic", "google")
    ),
    Override("bigco", "anthropic", "claude-sonnet-4-5", _SINCE, None, {"multiplier": "0.85"}, "x"),
    Override("bigco", "openai", "gpt-4o-mini", _SINCE, None, {"multiplier": "0.5"}, "x"),
]
_CLASSES = ("input_uncached", "cache_read", "output_text", "output_reasoning")


def measure() -> Iterator[str]:
    book = read_book(read_text(DEFAULT_BOOK_PATH), overrides=overrides_text(_OVERRIDES))
    yield "| what | rows/s |"
    yield "|---|---:|"
    yield f"| columns: 2 models, 4 classes | {_columns(book, _PLAIN, units=0):,.0f} |"
    yield f"| columns: 7 models with bands, tiers and dates | {_columns(book, _HARD, units=0):,.0f} |"
    yield f"| columns: the same with overrides of tenants | {_columns(book, _TERMS, units=0):,.0f} |"
    yield f"| columns: 1 % of the events with units | {_columns(book, _PLAIN, units=_ROWS // 100):,.0f} |"
    yield f"| one event at a time | {_singles(book, ''):,.0f} |"
    yield f"| one event at a time, of a tenant with an override | {_singles(book, 'acme'):,.0f} |"
    peers = run_beside_peers("tests.bench.peer_speed")
    if peers.returncode:
        raise SystemExit("the peers could not be measured")
    for line in peers.stdout.splitlines():
        name, rate = line.split()
        yield f"| one call at a time: {name} | {float(rate):,.0f} |"


def _columns(book: PriceBook, keys: Sequence[PriceKey], units: int) -> float:
    draw, now_us = np.random.default_rng(1), time.time_ns() // 1_000
    counts = {name: draw.integers(0, 9_000, _ROWS) for name in _CLASSES}
    counts["input_uncached"][::50] = 300_000
    usage = UsageColumns(
        _ROWS, counts, draw.integers(0, len(keys), _ROWS), keys, now_us - draw.integers(0, 86_400_000_000, _ROWS),
        np.zeros(_ROWS, bool), {row: {"web_searches": 1} for row in range(units)},
    )  # fmt: skip
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        price_columns(book, usage)
        best = min(best, time.perf_counter() - started)
    return _ROWS / best


def _singles(book: PriceBook, tenant: str) -> float:
    usage, now_us = {"input_uncached": 900, "cache_read": 100, "output_text": 200}, time.time_ns() // 1_000
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        for _ in range(_ONE_BY_ONE):
            price_event(book, usage, provider="openai", model="gpt-4o", occurred_at_us=now_us, tenant=tenant)
        best = min(best, time.perf_counter() - started)
    return _ONE_BY_ONE / best
