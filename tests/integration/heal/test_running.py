"""A price is added to the file while the processor runs: it is in force, and what lacked it is healed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from services.runtime.embedded.backends import Backends
from tests.backends import FreshTopics
from tests.integration.heal.healed import differences
from tests.integration.heal.price_books import WITH_GPT_4O, WITHOUT_GPT_4O
from tests.integration.processor.running import Processor, produce, serialized, wait_until
from tests.ledger import books


def test_a_price_added_while_events_stream_in_heals_what_came_before_and_prices_what_comes_after(
    backends: Backends,
    database: str,
    kafka_topics: FreshTopics,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    book = tmp_path / "price_book.yaml"
    book.write_text(WITHOUT_GPT_4O)
    monkeypatch.setenv("SPENDSTREAM_PRICE_BOOK", str(book))
    producer = books(5)
    batches = list(producer.batches(6000))
    processor = Processor(backends.kafka_bootstrap, database, kafka_topics, tmp_path / "log")
    processor.start()
    try:
        values = serialized(batches)
        produce(backends.kafka_bootstrap, kafka_topics.usage_events.name, values[:6])
        processor.wait_read(3000)
        book.write_text("providers: [")
        produce(backends.kafka_bootstrap, kafka_topics.usage_events.name, values[6:8])
        processor.wait_read(4000)
        wait_until(lambda: processor.said("price book refused"), "a broken book is refused")
        book.write_text(WITH_GPT_4O)
        for value in values[8:]:
            produce(backends.kafka_bootstrap, kafka_topics.usage_events.name, [value])
            time.sleep(0.5)
        processor.wait_read(6000)
        events = [event for batch in batches for event in batch.events]
        deadline = time.monotonic() + 30
        while wrong := differences(database, list(range(1, 10)), events):
            assert time.monotonic() < deadline, wrong[:5]
            time.sleep(0.3)
    finally:
        processor.stop()
