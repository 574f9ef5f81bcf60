"""A store fed by hand, on a stream of its own; what it says is compared with the producer's books."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

import psycopg

from pricing.entries import PriceBook
from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.processor.batch import DeadEvent, Message
from services.processor.ledger import Stream
from services.processor.prepare import prepare
from services.processor.refresher import Refresher
from services.processor.store import Applied, Store
from services.processor.tenants import Tenants

PICO = Decimal(10**12)
LEVELS = ("minute", "15m", "hour", "day")


class Harness:
    """A store on a stream of its own, fed by hand."""

    def __init__(self, dsn: str, book: PriceBook) -> None:
        self.dsn = dsn
        self.book = book
        self.stream = Stream("cluster", uuid.uuid4().hex, uuid.uuid4().hex)
        self.dead: list[DeadEvent] = []
        self.store = self.new_store()
        self.tenants = Tenants(dsn)
        self.store.claim({0, 1})
        self.offsets = {0: 0, 1: 0}

    def new_store(self) -> Store:
        return Store(self.dsn, self.stream, self.dead.extend, sleep=lambda _: None)

    def message(self, batch: usage_pb2.UsageBatch, received: datetime, partition: int = 0) -> Message:
        offset = self.offsets[partition]
        self.offsets[partition] += 1
        return Message(partition, offset, int(received.timestamp() * 1e6), batch.SerializeToString(deterministic=True))

    def apply(self, *messages: Message, store: Store | None = None) -> Applied:
        return (store or self.store).apply(prepare(messages, self.book, self.tenants.numbers))

    def one(self, query: str, *values: object) -> tuple[object, ...]:
        with psycopg.connect(self.dsn) as connection:
            row = connection.execute(query, values).fetchone()
            assert row is not None
            return tuple(row)

    def all(self, query: str, *values: object) -> list[tuple[object, ...]]:
        with psycopg.connect(self.dsn) as connection:
            return connection.execute(query, values).fetchall()

    def refresh(self, now: datetime) -> None:
        refresher = Refresher(self.dsn, close_after_seconds=120)
        refresher.run_once(now)
        refresher.close()

    def close_through(self, moment: datetime) -> None:
        """As if everything before this were built."""
        with psycopg.connect(self.dsn) as connection:
            connection.execute("UPDATE rollup_state SET closed_through = %s", (moment,))

    def costs_by_level(self, tenants: Sequence[str]) -> dict[str, Decimal]:
        """USD at each level once what waits is refreshed."""
        self.refresh(datetime.now(UTC))
        numbers = list(self.tenants.numbers(tenants).values())
        found = {}
        for level in LEVELS:
            query = f"SELECT coalesce(sum(billed_pico_usd), 0) FROM usage_{level} WHERE tenant_no = ANY(%s)"
            found[level] = Decimal(str(self.one(query, numbers)[0])) / PICO
        raw = "SELECT coalesce(sum(cost_pico_usd), 0) FROM usage_event WHERE tenant_no = ANY(%s)"
        return found | {"raw": Decimal(str(self.one(raw, numbers)[0])) / PICO}
