"""The processor on the real broker and database: killed, fed garbage. The producer's books are the oracle."""

from __future__ import annotations

import random
import time
from pathlib import Path

import psycopg
from google.protobuf.message import DecodeError

from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.runtime.embedded.backends import Backends
from tests.backends import FreshTopics, fresh_database, fresh_topics
from tests.integration.processor.running import Processor, dead_letters, produce, serialized, wait_settled
from tests.ledger import books

SEED = 20_261_122


def test_killed_three_times_at_random_the_totals_are_exact(backends: Backends, tmp_path: Path) -> None:
    producer, draw = books(SEED), random.Random(SEED)
    with fresh_database(backends.database_dsn) as dsn, fresh_topics(backends.kafka_bootstrap) as topics:
        # Small flushes, so that each kill meets one under way.
        settings = {"FLUSH_MESSAGES_MAX": "10", "LANES_BYTES_MIN": "1"}
        processor = Processor(backends.kafka_bootstrap, dsn, topics, tmp_path / "processor.log", settings=settings)
        produce(backends.kafka_bootstrap, topics.usage_events.name, serialized(producer.batches(40_000, size=100)))
        processor.start()
        try:
            for _ in range(3):
                processor.wait_read(processor.read() + draw.randrange(2_000, 8_000))
                time.sleep(draw.random() / 5)
                processor.kill()
                assert processor.read() < producer.calls, "the kill came too late to mean anything"
                processor.start()
            processor.wait_read(producer.calls)
            levels = wait_settled(dsn, producer.cost_usd)
        finally:
            assert processor.stop() == 0
        assert levels == dict.fromkeys(levels, producer.cost_usd)
        with psycopg.connect(dsn) as connection:
            counts = connection.execute(
                "SELECT sum(counted), sum(duplicate), sum(dead_lettered) FROM ledger"
            ).fetchone()
            by_tenant = connection.execute(
                "SELECT tenant_id, sum(calls), sum(input_uncached + cache_read), sum(output_text) "
                "FROM usage_hour JOIN tenant USING (tenant_no) GROUP BY tenant_id"
            ).fetchall()
        assert counts == (producer.calls, 0, 0)
        assert {tenant: tuple(map(int, rest)) for tenant, *rest in by_tenant} == {
            tenant: (t.calls, t.prompt_tokens, t.completion_tokens) for tenant, t in producer.by_tenant.items()
        }


def test_as_many_small_messages_as_a_take_holds_are_counted_though_nothing_comes_after_them(
    backends: Backends, tmp_path: Path
) -> None:
    producer = books(SEED + 2)
    with fresh_database(backends.database_dsn) as dsn, fresh_topics(backends.kafka_bootstrap) as topics:
        settings = {"FLUSH_MESSAGES_MAX": "10"}
        processor = Processor(backends.kafka_bootstrap, dsn, topics, tmp_path / "processor.log", settings=settings)
        processor.start()
        try:
            # Each time they wait for more of them before they are a flush, and there is none.
            for counted in (10, 20, 30):
                values = serialized(producer.batches(10, size=1))
                produce(backends.kafka_bootstrap, topics.usage_events.name, values)
                processor.wait_read(counted, seconds=30)
        finally:
            assert processor.stop() == 0


def test_garbage_among_good_events_is_set_aside_with_reasons_and_the_good_ones_count(
    database: str, kafka_topics: FreshTopics, backends: Backends, tmp_path: Path
) -> None:
    producer, draw = books(SEED), random.Random(SEED)
    good = list(producer.batches(3_000, size=100))
    garbage = [draw.randbytes(draw.randrange(1, 400)) for _ in range(20)]
    bad_events = _bad_events()
    spoiled = usage_pb2.UsageBatchEnvelope(
        events=[producer.event("acme").SerializeToString(), *bad_events, producer.event("acme").SerializeToString()]
    ).SerializeToString()
    values = [*serialized(good), *garbage, spoiled]
    draw.shuffle(values)
    processor = Processor(backends.kafka_bootstrap, database, kafka_topics, tmp_path / "processor.log")
    processor.start()
    try:
        produce(backends.kafka_bootstrap, kafka_topics.usage_events.name, values)
        processor.wait_read(producer.calls + len(bad_events) + 20 - _empty_envelopes(garbage))
        levels = wait_settled(database, producer.cost_usd)
    finally:
        assert processor.stop() == 0
    assert levels == dict.fromkeys(levels, producer.cost_usd)
    letters = dead_letters(backends.kafka_bootstrap, kafka_topics.dead_letter.name)
    assert {letter.payload for letter in letters} >= set(bad_events)
    reasons = {letter.payload: letter.detail for letter in letters if letter.payload in bad_events}
    assert all(reasons.values()), "each says what is wrong"
    places = {(letter.partition, letter.offset, letter.index) for letter in letters}
    assert len(places) == len(letters), "each has a place of its own"


def _bad_events() -> list[bytes]:
    """Events that break one rule each; all are bytes a producer could send."""
    made = []
    for change in (
        {"event_id": ""},
        {"tenant_id": ""},
        {"model": "x" * 300},
        {"feature": "a\x00b"},
        {"attempt": -1},
        {"status": 99},
    ):
        event = books(1).event("acme")
        for name, value in change.items():
            setattr(event, name, value)
        made.append(event.SerializeToString())
    for count in (-1, 2**63 - 1):
        event = books(1).event("acme")
        event.usage.output_text = count
        made.append(event.SerializeToString())
    made.append(books(1).event("acme").SerializeToString()[:-2])
    return made


def _empty_envelopes(garbage: list[bytes]) -> int:
    """Random bytes that happen to decode to a batch without events are no event and no error."""
    empty = 0
    for value in garbage:
        try:
            empty += not usage_pb2.UsageBatchEnvelope.FromString(value).events
        except DecodeError:
            continue
    return empty


def test_everything_sent_twice_counts_once(
    database: str, kafka_topics: FreshTopics, backends: Backends, tmp_path: Path
) -> None:
    with fresh_database(backends.database_dsn) as dsn, fresh_topics(backends.kafka_bootstrap) as topics:
        producer = books(SEED + 1)
        values = serialized(producer.batches(20_000))
        processor = Processor(backends.kafka_bootstrap, dsn, topics, tmp_path / "processor.log")
        processor.start()
        try:
            produce(backends.kafka_bootstrap, topics.usage_events.name, values)
            produce(backends.kafka_bootstrap, topics.usage_events.name, values, key=b"another")
            processor.wait_read(2 * producer.calls)
            levels = wait_settled(dsn, producer.cost_usd)
        finally:
            assert processor.stop() == 0
        assert levels == dict.fromkeys(levels, producer.cost_usd)
        with psycopg.connect(dsn) as connection:
            counts = connection.execute("SELECT sum(counted), sum(duplicate) FROM ledger").fetchone()
        assert counts == (producer.calls, producer.calls)
