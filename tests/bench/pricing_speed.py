"""How fast the money kernel prices: columns, and one event at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np

from pricing.book import load_book
from pricing.columns import UsageColumns, price_columns
from pricing.entries import PriceBook
from pricing.kernel import price_event
from pricing.table import PriceKey

_ROWS = 1_000_000
_ONE_BY_ONE = 100_000
_PLAIN: tuple[PriceKey, ...] = (("openai", "gpt-4o", ""), ("openai", "gpt-4o-mini", ""))
_HARD: tuple[PriceKey, ...] = (
    ("openai", "gpt-5.4", ""), ("openai", "gpt-5.6-luna", "batch"), ("anthropic", "claude-sonnet-4-5", ""),
    ("anthropic", "claude-haiku-5-5", ""), ("google", "gemini-2.5-pro", ""), ("mistral", "mistral-large-4", ""),
    ("openai", "gpt-4o-mini", "priority"),
)  # fmt: skip
_CLASSES = ("input_uncached", "cache_read", "output_text", "output_reasoning")


def measure() -> Iterator[str]:
    book = load_book()
    yield "| what | rows/s |"
    yield "|---|---:|"
    yield f"| columns: 2 models, 4 classes | {_columns(book, _PLAIN, units=0):,.0f} |"
    yield f"| columns: 7 models with bands, tiers and dates | {_columns(book, _HARD, units=0):,.0f} |"
    yield f"| columns: 1 % of the events with units | {_columns(book, _PLAIN, units=_ROWS // 100):,.0f} |"
    yield f"| one event at a time | {_singles(book):,.0f} |"


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


def _singles(book: PriceBook) -> float:
    usage, now_us = {"input_uncached": 900, "cache_read": 100, "output_text": 200}, time.time_ns() // 1_000
    started = time.perf_counter()
    for _ in range(_ONE_BY_ONE):
        price_event(book, usage, provider="openai", model="gpt-4o", occurred_at_us=now_us)
    return _ONE_BY_ONE / (time.perf_counter() - started)
