"""Identity: which events are the same."""

from __future__ import annotations

import uuid

import pyarrow as pa

from services.contracts.event_key import event_key
from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.processor.batch import Decoded, Message, Place
from services.processor.decode import decode
from services.processor.identify import event_keys, identify
from tests.ledger import books


def decoded_of(*events: usage_pb2.UsageEvent) -> Decoded:
    return decode([Message(0, 1, 0, usage_pb2.UsageBatch(events=events).SerializeToString(deterministic=True))])


def test_a_version_7_uuid_is_its_own_key() -> None:
    ordered = uuid.UUID("0199aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee")
    assert event_key(str(ordered)) == ordered.bytes


def test_any_other_id_is_hashed_and_never_looks_like_a_version_7_uuid() -> None:
    for event_id in ("x", str(uuid.uuid4()), "0199AAAA-BBBB-7CCC-8DDD-EEEEEEEEEEEE", "é" * 200):
        assert uuid.UUID(bytes=event_key(event_id)).version == 8


def test_keys_of_a_column_are_those_of_its_ids_one_by_one() -> None:
    ids = [
        "0199aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee",
        "0199aaaa-bbbb-7ccc-bddd-0123456789ab",
        "0199AAAA-BBBB-7CCC-8DDD-EEEEEEEEEEEE",
        "0199aaaa-bbbb-7ccc-cddd-eeeeeeeeeeee",
        "0199aaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
        "0199aaaabbbb-7ccc-8ddd-eeeeeeeeeeee-",
        "0199aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeeg",
        "é" * 18,
        "x",
        "",
        str(uuid.uuid4()),
        "0199aaaa-bbbb-7ccc-8ddd-eeeeeeeeeee",
    ]
    for part in (ids, ids[3:], ids[8:], []):
        keys = [bytes(key) for key in event_keys(pa.array(part, pa.string()))]
        assert keys == [event_key(event_id) for event_id in part]
    sliced = pa.array(ids, pa.string())[2:7]
    assert [bytes(key) for key in event_keys(sliced)] == [event_key(event_id) for event_id in ids[2:7]]


def test_the_same_event_twice_in_a_flush_is_kept_once() -> None:
    event = books().event("acme")
    decoded = decoded_of(event, event)
    identify(decoded)
    assert len(decoded.table) == 1
    assert decoded.repeats == [Place(0, 1, 1)]


def test_the_same_id_with_other_content_keeps_the_first_and_buries_the_later() -> None:
    event = books().event("acme")
    other = usage_pb2.UsageEvent()
    other.CopyFrom(event)
    other.usage.output_text += 1
    decoded = decoded_of(event, other)
    identify(decoded)
    assert decoded.payloads == [event.SerializeToString(deterministic=True)]
    assert [(dead.reason, dead.place.index) for dead in decoded.dead] == [("conflict", 1)]


def test_the_same_id_of_two_tenants_is_two_events() -> None:
    event = books().event("acme")
    other = usage_pb2.UsageEvent()
    other.CopyFrom(event)
    other.tenant_id = "bigco"
    decoded = decoded_of(event, other)
    identify(decoded)
    assert len(decoded.table) == 2
