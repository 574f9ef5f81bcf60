"""Decoding: one bad event or message does not spoil its neighbours."""

from __future__ import annotations

from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.processor.batch import Message, Place
from services.processor.decode import decode
from tests.ledger import books

RECEIVED_US = 1_795_000_000_000_000


def message(offset: int, value: bytes, partition: int = 0) -> Message:
    return Message(partition, offset, RECEIVED_US, value)


def envelope(*payloads: bytes) -> bytes:
    return usage_pb2.UsageBatchEnvelope(events=payloads).SerializeToString()


def test_events_of_several_messages_come_in_order_with_their_places() -> None:
    producer = books()
    batches = [usage_pb2.UsageBatch(events=[producer.event("acme") for _ in range(n)]) for n in (2, 3)]
    decoded = decode([message(5, batches[0].SerializeToString()), message(6, batches[1].SerializeToString())])
    assert decoded.table.column("event_id").to_pylist() == [e.event_id for b in batches for e in b.events]
    assert [decoded.place(row) for row in range(5)] == [
        Place(0, 5, 0), Place(0, 5, 1), Place(0, 6, 0), Place(0, 6, 1), Place(0, 6, 2),
    ]  # fmt: skip
    assert decoded.spans[0].first_offset == 5
    assert decoded.spans[0].next_offset == 7


def test_random_bytes_among_messages_are_set_aside_whole() -> None:
    good = usage_pb2.UsageBatch(events=[books().event("acme")]).SerializeToString()
    decoded = decode([message(1, good), message(2, b"\xff\xfe\xfd"), message(3, good)])
    assert len(decoded.table) == 2
    assert [(dead.place, dead.reason, dead.payload) for dead in decoded.dead] == [
        (Place(0, 2, -1), "undecodable", b"\xff\xfe\xfd")
    ]
    assert decoded.spans[0].next_offset == 4


def test_a_truncated_event_in_a_batch_is_set_aside_alone() -> None:
    producer = books()
    first, bad, last = (producer.event("acme").SerializeToString() for _ in range(3))
    decoded = decode([message(1, envelope(first, bad[:-3], last))])
    assert decoded.payloads == [first, last]
    assert [dead.place for dead in decoded.dead] == [Place(0, 1, 1)]
    assert decoded.place(1) == Place(0, 1, 2)


def test_a_flush_of_nothing_good_is_empty_and_still_spans_its_messages() -> None:
    decoded = decode([message(1, b"\xff"), message(2, envelope())])
    assert len(decoded.table) == 0
    assert decoded.spans[0].next_offset == 3
