"""A system to break: fresh topics and database, processors that are started again like a supervisor does, the books."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from services.runtime.embedded.backends import Backends
from tests.backends import FreshTopics
from tests.fault.identities import Sampler, assert_all_read, assert_books_agree, differences
from tests.integration.processor.running import Processor, costs_at_every_level, produce, serialized, wait_until
from tests.ledger import books

# Small flushes: a few thousand events make many transactions, so that a fault meets one under way.
_SETTINGS = {
    "FLUSH_MESSAGES_MAX": "4",
    # And always two at the same time.
    "LANES_BYTES_MIN": "1",
    "SESSION_TIMEOUT_SECONDS": "6",
    "REFRESH_SECONDS": "1",
    "STUCK_SECONDS": "45",
}


class Keeper(threading.Thread):
    """Starts a processor again whenever it ends, until it is stopped."""

    def __init__(self, processor: Processor) -> None:
        super().__init__(name="keeper", daemon=True)
        self._processor = processor
        self._stopping = threading.Event()
        self.restarts = 0

    def run(self) -> None:
        while not self._stopping.wait(0.2):
            if not self._processor.running():
                self.restarts += 1
                self._processor.start()

    def stop(self) -> None:
        self._stopping.set()
        self.join(10)


class System:
    """One test's world. `draw` decides everything that is random, from the seed that is printed with a failure."""

    def __init__(self, backends: Backends, dsn: str, topics: FreshTopics, folder: Path, seed: int) -> None:
        print(f"seed {seed}")
        self.backends = backends
        self.dsn = dsn
        self.topics = topics
        self.folder = folder
        self.draw = random.Random(seed)
        self.books = books(seed)
        self._processors: list[Processor] = []

    def processor(self, instance: str = "one", **settings: str) -> Processor:
        """One that is not started; all share a consumer group."""
        made = Processor(
            self.backends.kafka_bootstrap,
            self.dsn,
            self.topics,
            self.folder / f"{instance}.log",
            instance,
            group=self.topics.prefix + "group",
            module="tests.fault.processor_with_faults",
            settings=_SETTINGS | settings,
        )
        self._processors.append(made)
        return made

    def messages(self, events: int, size: int = 250) -> list[bytes]:
        """New events, entered in the books."""
        return serialized(self.books.batches(events, size))

    def send(self, messages: list[bytes], key: bytes = b"k") -> None:
        produce(self.backends.kafka_bootstrap, self.topics.usage_events.name, messages, key)

    def counted(self) -> int:
        with psycopg.connect(self.dsn, connect_timeout=3) as connection:
            row = connection.execute("SELECT coalesce(sum(counted), 0) FROM ledger").fetchone()
        return int(row[0]) if row else 0

    def wait_counted(self, events: int, seconds: float = 60) -> None:
        def enough() -> bool:
            try:
                return self.counted() >= events
            except psycopg.OperationalError:
                return False

        wait_until(enough, f"{events} events counted", seconds)

    @contextmanager
    def kept(self, processor: Processor) -> Iterator[Keeper]:
        """Running and started again when it ends; stopped afterwards."""
        keeper = Keeper(processor)
        if not processor.running():
            processor.start()
        keeper.start()
        try:
            yield keeper
        finally:
            keeper.stop()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """The identities hold whenever they are looked at in here."""
        sampler = Sampler(self.dsn)
        sampler.start()
        try:
            yield
        finally:
            sampler.stop()
        assert sampler.found == []
        assert sampler.samples > 0

    def assert_exact(self, seconds: float = 90, *, all_read: bool = True) -> None:
        """Everything in the books is counted, once, at every level; nothing else is."""
        self.wait_counted(self.books.calls, seconds)
        wanted = self.books.cost_usd
        wait_until(lambda: set(costs_at_every_level(self.dsn).values()) == {wanted}, "all levels agree", 30)
        if all_read:
            self._wait_all_read()
        assert differences(self.dsn) == []
        assert_books_agree(self.dsn, self.books)

    def _wait_all_read(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                assert_all_read(self.dsn, self.backends.kafka_bootstrap, self.topics.usage_events.name)
            except AssertionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)
            else:
                return

    def stop(self) -> None:
        """Ends what still runs."""
        for processor in self._processors:
            if processor.running():
                processor.kill()
