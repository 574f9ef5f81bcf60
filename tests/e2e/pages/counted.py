"""Counts events as the processor does, straight into a database: its prepare and store without the broker between."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

import pricing
from pricing.book import load_book
from services.contracts.json_event import decode_event
from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.processor.batch import DeadEvent, Message
from services.processor.ledger import Stream
from services.processor.prepare import prepare
from services.processor.refresher import Refresher
from services.processor.store import Store
from services.processor.tenants import Tenants

_STREAM = Stream("pages-test", "topic-of-the-pages", "usage.events.v1")
_MESSAGE_EVENTS = 500
_FLUSH_MESSAGES = 20


def count_events(dsn: str, events: Iterable[dict[str, Any]], now: datetime) -> int:
    """How many were counted. Refuses dead letters: what a test sends is good."""
    store = Store(dsn, _STREAM, _refuse)
    book = load_book(Path(pricing.__file__).with_name("price_book.yaml"))
    tenants = Tenants(dsn)
    counted, offsets = 0, count(store.claim([0])[0])
    try:
        for flush in _batched(_messages(events, now, offsets), _FLUSH_MESSAGES):
            counted += store.apply(prepare(flush, book, tenants.numbers)).counted
    finally:
        store.close()
    Refresher(dsn, 0).run_once(now)
    _say_read_through(dsn, now)
    return counted


def _messages(events: Iterable[dict[str, Any]], now: datetime, offsets: Iterable[int]) -> Iterable[Message]:
    received_us = int(now.timestamp() * 1_000_000)
    for offset, group in zip(offsets, _batched(events, _MESSAGE_EVENTS), strict=False):
        batch = usage_pb2.UsageBatch(events=[decode_event(event) for event in group])
        yield Message(0, offset, received_us, batch.SerializeToString())


def _batched(items: Iterable[Any], size: int) -> Iterable[list[Any]]:
    group: list[Any] = []
    for item in items:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def _say_read_through(dsn: str, now: datetime) -> None:
    """What a worker reports of a partition read to its end."""
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "INSERT INTO partition_progress (topic_id, kafka_partition, next_offset, end_offset, seen_at) "
            "VALUES (%s, 0, 1, 1, %s) ON CONFLICT (topic_id, kafka_partition) DO UPDATE SET seen_at = excluded.seen_at",
            (_STREAM.topic_id, now.astimezone(UTC)),
        )


def _refuse(dead: Sequence[DeadEvent]) -> None:
    raise AssertionError(f"a test's event is bad: {dead[0].reason}, {dead[0].detail}")
