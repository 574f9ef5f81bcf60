"""Folding: sums equal a plain loop's, however the stream is cut and ordered."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pricing
from pricing.book import load_book
from pricing.entries import PriceBook
from services.contracts.rollups import ROLLUPS, USAGE, Rollup
from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.processor.batch import Message
from services.processor.fold import fold
from services.processor.prepare import prepare
from tests.ledger import books

NUMBERS = {"acme": 1, "bigco": 2, "globex": 3}


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return load_book(Path(pricing.__file__).with_name("price_book.yaml"))


def prepared(events: list[usage_pb2.UsageEvent], book: PriceBook, received_us: int) -> pa.Table:
    value = usage_pb2.UsageBatch(events=events).SerializeToString(deterministic=True)
    flush = prepare([Message(0, 1, received_us, value)], book, lambda names: {name: NUMBERS[name] for name in names})
    assert not flush.decoded.dead
    assert flush.count == len(events)
    return flush.decoded.table


def as_sums(tables: list[pa.Table], rollup: Rollup) -> dict[tuple[object, ...], tuple[int, ...]]:
    """Rollup rows of several flushes added up as the database does."""
    sums: dict[tuple[object, ...], tuple[int, ...]] = {}
    keys = ("bucket", "tenant_no", *rollup.dimensions)
    for table in tables:
        for row in table.to_pylist():
            key = tuple(row[name] for name in keys)
            measures = tuple(row[name] for name in rollup.measures)
            sums[key] = tuple(map(sum, zip(sums.get(key, (0,) * len(measures)), measures, strict=True)))
    return sums


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), cuts=st.lists(st.integers(0, 60), max_size=4))
def test_cutting_and_reordering_a_stream_changes_no_sum(book: PriceBook, seed: int, cuts: list[int]) -> None:
    producer = books(seed)
    received_us = int(producer.now.timestamp() * 1e6)
    events = [producer.event(producer.random_.choice(producer.tenants)) for _ in range(60)]
    whole = fold(prepared(events, book, received_us))
    random.Random(seed).shuffle(events)
    edges = [0, *sorted(cuts), 60]
    pieces = [events[a:b] for a, b in itertools.pairwise(edges) if a < b]
    parts = [fold(prepared(piece, book, received_us)) for piece in pieces]
    for rollup in ROLLUPS:
        cut = as_sums([part[rollup.base_table] for part in parts], rollup)
        assert cut == as_sums([whole[rollup.base_table]], rollup), rollup.name


def test_the_minute_rollup_equals_a_plain_loop(book: PriceBook) -> None:
    producer = books(3)
    events = [producer.event(producer.random_.choice(producer.tenants)) for _ in range(500)]
    table = fold(prepared(events, book, int(producer.now.timestamp() * 1e6)))[USAGE.base_table]
    calls: dict[tuple[int, str, str, str, int], int] = defaultdict(int)
    prompts: dict[tuple[int, str, str, str, int], int] = defaultdict(int)
    for event in events:
        agent = event.section_path.split("/")[0].removeprefix("agent:")
        key = (NUMBERS[event.tenant_id], event.feature, agent, event.model, event.occurred_at.seconds // 60)
        calls[key] += 1
        prompts[key] += event.usage.input_uncached
    got_calls: dict[tuple[int, str, str, str, int], int] = defaultdict(int)
    got_prompts: dict[tuple[int, str, str, str, int], int] = defaultdict(int)
    for row in table.to_pylist():
        key = (row["tenant_no"], row["feature"], row["agent_id"], row["model"], int(row["bucket"].timestamp()) // 60)
        got_calls[key] += row["calls"]
        got_prompts[key] += row["input_uncached"]
    assert got_calls == calls
    assert got_prompts == prompts
