from __future__ import annotations

from spendstream_sdk.kafka_transport import TOPIC
from spendstream_sdk.records import Record, to_event
from spendstream_sdk.scopes import Scope
from spendstream_sdk.wire import encode_batch

from services.contracts.json_event import decode_event
from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.contracts.topics import USAGE_EVENTS


def test_a_batch_on_kafka_says_what_the_door_would_have_made_of_its_events() -> None:
    fields = {
        "provider": "openai", "model": "gpt-4o", "prompt_tokens": 10, "cached_tokens": 4, "completion_tokens": 0,
        "units": {"web_searches": 2}, "status": "error", "service_tier": "flex", "metadata": {"a": "b"},
        "latency_ms": 0, "superseded": True, "attempt": 3,
    }  # fmt: skip
    event = to_event(Record(7, 1_700_000_000_123_456_789, Scope("r", "a", "agent:a"), fields), {"tenant_id": "t"})
    batch = usage_pb2.UsageBatch.FromString(encode_batch([event, event]))
    assert (batch.door, len(batch.batch_id)) == ("sdk", 32)
    assert list(batch.events) == [decode_event(event)] * 2


def test_the_topic_is_the_products() -> None:
    assert USAGE_EVENTS.name == TOPIC
