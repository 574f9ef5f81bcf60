"""How fast unpriced events heal: `python -m tests.bench.healing [EVENTS]`.

A store is fed events of models the book lacks; then the book has them, and a healer works through the events in a
database of its own, while nothing else runs.
"""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg

from pricing.book import read_book
from services.processor.batch import Message
from services.processor.heal_store import Healer
from services.processor.ledger import Stream
from services.processor.prepare import prepare
from services.processor.store import Store
from services.processor.tenants import Tenants
from services.runtime.embedded.backends import Backends
from tests.backends import fresh_database, running_backends
from tests.bench.mix import PRICES, Mix

_BOOK = """\
version: "{version}"
units: {{}}
providers:
{providers}
"""
_PROVIDER = """\
  {provider}:
    source: https://example.com/prices
    checked: 2026-11-22
    models:
{models}"""
_MODEL = """\
      {model}:
        tier: standard
        entries:
          - effective_from: 2020-01-01
            prices: {{input_uncached: "{0}", cache_read: "{1}", output_text: "{2}", output_reasoning: output_text}}
"""


def book_text(*, priced: bool) -> str:
    """A book with the mix's models, or with one that is none of them."""
    by_provider: dict[str, str] = {}
    for (provider, model), prices in PRICES.items():
        name = model if priced else f"no-{model}"
        by_provider[provider] = by_provider.get(provider, "") + _MODEL.format(*prices, model=name)
    providers = "".join(_PROVIDER.format(provider=name, models=models) for name, models in by_provider.items())
    return _BOOK.format(version="whole" if priced else "lacking", providers=providers)


def _fill(dsn: str, events: int) -> int:
    """Counts so many events without a price; their cost in pico-USD by the mix's own books."""
    stream = Stream("bench", uuid.uuid4().hex, "bench")
    store, tenants, book = Store(dsn, stream, lambda dead: None), Tenants(dsn), read_book(book_text(priced=False))
    store.claim({0})
    now_us = int(datetime.now(UTC).timestamp() * 1e6)
    mix = Mix(now_us)
    messages = [
        Message(0, offset, now_us, batch.SerializeToString(deterministic=True))
        for offset, (_, batch) in enumerate(mix.batches(events))
    ]
    for start in range(0, len(messages), 60):
        store.apply(prepare(messages[start : start + 60], book, tenants.numbers))
    store.close()
    return sum(totals.cost_pico_usd for totals in mix.totals.values())


def measure(backends: Backends, events: int) -> Iterator[str]:
    whole = read_book(book_text(priced=True))
    with fresh_database(backends.database_dsn) as dsn:
        wanted = _fill(dsn, events)
        healer = Healer(dsn, lambda: whole)
        started = time.perf_counter()
        healed = healer.run_once()
        seconds = time.perf_counter() - started
        healer.close()
        with psycopg.connect(dsn) as connection:
            row = connection.execute(
                "SELECT sum(adjustment_pico_usd), sum(unpriced_events) FROM usage_minute"
            ).fetchone()
        assert row == (wanted, 0), f"{row}, not {wanted} and 0"
        yield "| healed events | a second |"
        yield "|---:|---:|"
        yield f"| {healed:,} | {healed / seconds:,.0f} |"


def main() -> None:
    with running_backends() as backends:
        for line in measure(backends, int(sys.argv[1]) if len(sys.argv) > 1 else 200_000):
            print(line)


if __name__ == "__main__":
    main()
