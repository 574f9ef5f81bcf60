"""Adding a price prices exactly the rows that lacked it, in every rollup, once, whatever happens meanwhile."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from pricing.book import read_book
from pricing.entries import PriceBook
from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.processor.heal_store import Healer
from tests.contract.storage.harness import Harness
from tests.contract.storage.test_late import compress_everything, is_timescale
from tests.integration.heal.healed import differences
from tests.integration.heal.price_books import WITH_GPT_4O
from tests.ledger import Books

ROOT = Path(__file__).parents[3]
MINI = ("gpt-4o-mini",)


class Sent:
    """Events sent through a harness, and kept to be compared with."""

    def __init__(self, harness: Harness, producer: Books) -> None:
        self.harness, self.producer = harness, producer
        self.events: list[usage_pb2.UsageEvent] = []

    def send(self, count: int, partition: int = 0) -> None:
        for batch in self.producer.batches(count):
            self.harness.apply(self.harness.message(batch, self.producer.now, partition))
            self.events += batch.events

    def differences(self, priced: tuple[str, ...] = ("gpt-4o", "gpt-4o-mini")) -> list[str]:
        numbers = list(self.harness.tenants.numbers(self.producer.tenants).values())
        return differences(self.harness.dsn, numbers, self.events, priced)

    def waiting(self) -> int:
        numbers = list(self.harness.tenants.numbers(self.producer.tenants).values())
        return int(str(self.harness.one("SELECT count(*) FROM unpriced_event WHERE tenant_no = ANY(%s)", numbers)[0]))


@pytest.fixture
def sent(harness: Harness, own: Callable[..., Books]) -> Sent:
    return Sent(harness, own(span=timedelta(days=2)))


def heal(harness: Harness, book: PriceBook, chunk_rows: int = 700) -> int:
    healer = Healer(harness.dsn, lambda: book, chunk_rows)
    try:
        return healer.run_once()
    finally:
        healer.close()


def test_a_price_that_comes_later_prices_exactly_the_rows_that_lacked_it(
    harness: Harness, sent: Sent, whole_book: PriceBook
) -> None:
    sent.send(3000)
    sent.send(1000, partition=1)
    harness.refresh(datetime.now(UTC))
    assert sent.differences(priced=MINI) == []
    lacking = sum(event.model == "gpt-4o" for event in sent.events)
    assert sent.waiting() == lacking
    assert heal(harness, whole_book) == lacking
    assert harness.one("SELECT count(*) > 0 FROM dirty_bucket") == (True,), "closed buckets are marked"
    harness.refresh(datetime.now(UTC))
    assert sent.differences() == []
    assert sent.waiting() == 0


def test_healing_again_changes_nothing(harness: Harness, sent: Sent, whole_book: PriceBook) -> None:
    sent.send(1000)
    heal(harness, whole_book)
    assert heal(harness, whole_book) == 0
    harness.refresh(datetime.now(UTC))
    assert sent.differences() == []


def test_what_the_new_book_cannot_price_either_is_looked_at_once_and_stays_unpriced(
    harness: Harness, sent: Sent, whole_book: PriceBook
) -> None:
    sent.send(500)
    event = sent.producer.event(sent.producer.tenants[0])
    event.event_id, event.model, event.usage.input_audio = event.event_id + "a", "gpt-4o", 7
    sent.events.append(event)
    harness.apply(harness.message(usage_pb2.UsageBatch(events=[event]), sent.producer.now))
    heal(harness, whole_book)
    assert sent.waiting() == 1
    assert harness.one("SELECT price_book_version = %s FROM unpriced_event WHERE model = 'gpt-4o' LIMIT 1",
                       whole_book.version) == (True,)  # fmt: skip
    later = read_book(WITH_GPT_4O.replace('"1.25",', '"1.25", input_audio: "0",'))
    assert heal(harness, later) == 1
    harness.refresh(datetime.now(UTC))
    assert sent.differences() == []


def test_what_is_too_dear_for_one_chunk_together_is_healed_in_several(
    harness: Harness, sent: Sent, whole_book: PriceBook
) -> None:
    # 10,000 dollars each; a chunk adds up to 4.6 million at most, and so do the sums it writes.
    for start in range(0, 600, 60):
        batch = usage_pb2.UsageBatch(events=[sent.producer.event(sent.producer.tenants[0]) for _ in range(60)])
        for number, event in enumerate(batch.events):
            event.model, event.customer_id = "gpt-4o", f"customer-{start + number}"
            event.usage.output_text = 1_000_000_000
        harness.apply(harness.message(batch, sent.producer.now))
        sent.events += batch.events
    assert heal(harness, whole_book) == 600
    assert sent.waiting() == 0
    assert harness.one("SELECT count(*) FROM cost_adjustment WHERE tenant_no = ANY(%s)",
                       list(harness.tenants.numbers(sent.producer.tenants).values())) == (600,)  # fmt: skip
    harness.refresh(datetime.now(UTC))
    assert sent.differences() == []


def test_a_run_that_retention_took_does_not_come_back(harness: Harness, sent: Sent, whole_book: PriceBook) -> None:
    sent.send(500)
    numbers = list(harness.tenants.numbers(sent.producer.tenants).values())
    count = "SELECT count(*) FROM run_base WHERE tenant_no = ANY(%s)"
    with psycopg.connect(harness.dsn) as connection:
        connection.execute("DELETE FROM run_base WHERE tenant_no = ANY(%s) AND run_id LIKE 'run1%%'", (numbers,))
    (before,) = harness.one(count, numbers)
    assert heal(harness, whole_book) > 0
    assert harness.one(count, numbers) == (before,)
    unpriced = "SELECT sum(unpriced_events) FROM run_base WHERE tenant_no = ANY(%s)"
    assert harness.one(unpriced, numbers) == (0,), "and those that are there are healed"


def test_what_waits_in_a_compressed_chunk_is_healed_like_the_rest(
    harness: Harness, sent: Sent, whole_book: PriceBook
) -> None:
    if not is_timescale(harness):
        pytest.skip("plain PostgreSQL compresses nothing")
    sent.send(2000)
    assert compress_everything(harness) > 0
    sent.send(500)  # comes late, and lies beside what is compressed
    lacking = sum(event.model == "gpt-4o" for event in sent.events)
    assert heal(harness, whole_book) == lacking
    harness.refresh(datetime.now(UTC))
    assert sent.differences() == []


def test_healing_while_events_stream_in_leaves_no_row_out_and_none_twice(
    harness: Harness, sent: Sent, whole_book: PriceBook
) -> None:
    sent.send(2000)
    stop, failed = threading.Event(), []

    def heal_on() -> None:
        healer = Healer(harness.dsn, lambda: whole_book, chunk_rows=150)
        try:
            while not stop.is_set():
                healer.run_once()
        except Exception as error:
            failed.append(error)
        finally:
            healer.close()

    thread = threading.Thread(target=heal_on)
    thread.start()
    for _ in range(8):
        sent.send(500)  # by a worker that has the old book still
        harness.refresh(datetime.now(UTC))
    stop.set()
    thread.join(30)
    assert not failed
    heal(harness, whole_book)
    harness.refresh(datetime.now(UTC))
    assert sent.differences() == []


def test_two_healers_at_once_are_one(harness: Harness, sent: Sent, whole_book: PriceBook) -> None:
    sent.send(500)
    first, second = (Healer(harness.dsn, lambda: whole_book, 100) for _ in range(2))
    assert first.run_once() > 0
    sent.send(500)
    assert second.run_once() == 0
    first.close()
    deadline = time.monotonic() + 10
    while second.run_once() == 0:
        assert time.monotonic() < deadline
    second.close()
    harness.refresh(datetime.now(UTC))
    assert sent.differences() == []


_HEALING = """
import sys
from pricing.book import read_book
from services.processor.heal_store import Healer
from tests.integration.heal.price_books import WITH_GPT_4O
healer = Healer(sys.argv[1], lambda: read_book(WITH_GPT_4O), chunk_rows=100)
while True:
    healer.run_once()
"""


def test_a_healer_that_is_killed_is_gone_on_from_where_it_was(
    harness: Harness, sent: Sent, whole_book: PriceBook
) -> None:
    sent.send(6000)
    for _ in range(3):
        before = sent.waiting()
        process = subprocess.Popen([sys.executable, "-c", _HEALING, harness.dsn], cwd=ROOT, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while sent.waiting() > before - 150 and time.monotonic() < deadline:
            time.sleep(0.002)
        process.kill()
        assert process.wait(10) < 0, "it was not killed in mid work"
        assert 0 < sent.waiting() < before
    deadline = time.monotonic() + 20
    while sent.waiting():  # until the server has noticed that the killed one is gone
        heal(harness, whole_book)
        assert time.monotonic() < deadline
    harness.refresh(datetime.now(UTC))
    assert sent.differences() == []
