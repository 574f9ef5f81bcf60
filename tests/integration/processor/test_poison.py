"""Poison of every kind: each bad event is set aside with a reason, its neighbours count, the partition moves on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import psycopg
from confluent_kafka import Producer

from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.contracts.topics import MESSAGE_BYTES_MAX
from services.runtime.embedded.backends import Backends
from tests.backends import FreshTopics
from tests.integration.processor.raw_batches import gzip_batch, send_batch
from tests.integration.processor.running import Processor, dead_letters, wait_settled
from tests.ledger import books

SEED = 41
_PEAK_KB_MAX = 900_000
_BOMB_BYTES = 120_000_000
_LARGE_BOMB_BYTES = 1200 << 20


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _field(number: int, wire_type: int, body: bytes) -> bytes:
    return _varint(number << 3 | wire_type) + body


def _length(body: bytes) -> bytes:
    return _varint(len(body)) + body


def _spoiled(change: Callable[[usage_pb2.UsageEvent], None]) -> bytes:
    event = books(1).event("acme")
    change(event)
    return event.SerializeToString()


def bad_events() -> dict[str, bytes]:
    """One event each that no decoder or rule lets through."""
    good = books(1).event("acme").SerializeToString()
    usage = _field(1, 0, _varint(2**63)) + _field(5, 0, _varint(1))
    return {
        "random bytes": random.Random(SEED).randbytes(200),
        "truncated": good[: len(good) // 2],
        "cut by one": good[:-1],
        "a number where text belongs": good + _field(3, 0, _varint(7)) + _field(99, 7, b""),
        "text that is not UTF-8": good + _field(7, 2, _length(b"\xff\xfe")),
        "2^63 tokens": good + _field(6, 2, _length(usage)),
        "2^64 - 1 milliseconds": good + _field(23, 0, _varint(2**64 - 1)),
        "a length beyond the end": good + _field(30, 2, _varint(10**9)),
        "NUL in a name": _spoiled(lambda event: setattr(event, "feature", "a\0b")),
        "NUL in metadata": _spoiled(lambda event: event.metadata.update({"k": "\0"})),
        "NUL in a unit": _spoiled(lambda event: event.usage.units.update({"a\0": 1})),
        "an unknown status": _spoiled(lambda event: setattr(event, "status", 1_000)),
        "an unknown service tier": _spoiled(lambda event: setattr(event, "service_tier", -3)),
        "a negative count": _spoiled(lambda event: setattr(event.usage, "output_text", -1)),
        "a year beyond all calendars": _spoiled(lambda event: setattr(event.occurred_at, "seconds", 2**62)),
        "no time at all": _spoiled(lambda event: event.ClearField("occurred_at")),
        "a path without end": _spoiled(lambda event: setattr(event, "section_path", "x" * 100_000)),
        "a thousand metadata": _spoiled(lambda event: event.metadata.update({str(n): "x" for n in range(1_000)})),
        "money that is none": _spoiled(lambda event: setattr(event, "reported_cost_usd", "1e400")),
        "nothing": b"",
    }


def bad_messages() -> dict[str, bytes]:
    """One message each that is no batch, or none that anyone would send."""
    return {
        "zeros": b"\0" * 1_000,
        "an open group": _field(1, 3, b""),
        "a cut batch": usage_pb2.UsageBatch(events=[books(1).event("acme")]).SerializeToString()[:-4],
        "a million events of nothing": _field(1, 2, b"\0") * 1_000_000,
    }


def test_poison_is_set_aside_and_its_neighbours_count(
    database: str, kafka_topics: FreshTopics, backends: Backends, tmp_path: Path
) -> None:
    producer = books(SEED)
    values = list(bad_messages().values())
    for payload in bad_events().values():
        neighbours = [producer.event("acme").SerializeToString(), producer.event("bigco").SerializeToString()]
        values.append(usage_pb2.UsageBatchEnvelope(events=[neighbours[0], payload, neighbours[1]]).SerializeToString())
    random.Random(SEED).shuffle(values)
    bombs = [b"\0" * _BOMB_BYTES, _field(2, 2, _length(b"x" * _BOMB_BYTES))]
    # One packed batch: a good message, one that unpacks to more than a gigabyte, a good one, and one just too large.
    neighbours = [usage_pb2.UsageBatch(events=[producer.event("acme")]).SerializeToString() for _ in range(2)]
    batch = gzip_batch([neighbours[0], _LARGE_BOMB_BYTES, neighbours[1], MESSAGE_BYTES_MAX + (1 << 20)])
    assert len(batch) < MESSAGE_BYTES_MAX
    bad = len(bad_events()) + len(bad_messages()) + len(bombs) + 2
    processor = Processor(backends.kafka_bootstrap, database, kafka_topics, tmp_path / "processor.log")
    processor.start()
    try:
        topic = kafka_topics.usage_events.name
        _produce_to_one_partition(backends.kafka_bootstrap, topic, [*values[:12], *bombs])
        first = asyncio.run(send_batch(backends.kafka_bootstrap, topic, 0, batch))
        _produce_to_one_partition(backends.kafka_bootstrap, topic, values[12:])
        processor.wait_read(producer.calls + bad, 90)
        assert set(wait_settled(database, producer.cost_usd).values()) == {producer.cost_usd}
        assert _peak_kb(processor.process.pid) < _PEAK_KB_MAX
    finally:
        assert processor.stop() == 0
    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT sum(counted), sum(dead_lettered) FROM ledger").fetchone()
    assert row == (producer.calls, bad)
    letters = dead_letters(backends.kafka_bootstrap, kafka_topics.dead_letter.name)
    assert len({(letter.partition, letter.offset, letter.index) for letter in letters}) == bad
    assert all(letter.detail for letter in letters), "each says why"
    by_offset = {letter.offset: letter for letter in letters}
    bomb, large = by_offset[first + 1], by_offset[first + 3]
    assert str(_LARGE_BOMB_BYTES)[:4] in bomb.detail, "its size as it would have been"
    assert 1_000_000 < len(bomb.payload) < MESSAGE_BYTES_MAX, "its beginning is kept"
    assert not bomb.payload.strip(b"\0")
    assert "5242" in large.detail


def _peak_kb(pid: int) -> int:
    """The most memory it ever had, by the kernel."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


def _produce_to_one_partition(bootstrap: str, topic: str, values: list[bytes]) -> None:
    producer = Producer({
        "bootstrap.servers": bootstrap, "compression.type": "zstd", "message.max.bytes": 2 * _BOMB_BYTES,
        "queue.buffering.max.kbytes": 1_000_000, "linger.ms": 0, "batch.num.messages": 1,
    })  # fmt: skip
    failed: list[str] = []
    for value in values:
        producer.produce(topic, value, partition=0, on_delivery=lambda e, _: failed.append(e.str()) if e else None)
    assert producer.flush(60) == 0
    assert failed == []
