"""Events as protobuf: what goes over gRPC and to Kafka. Needs protobuf, so only those transports import it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

from spendstream_sdk._proto import usage_pb2
from spendstream_sdk.records import Event

_NESTED = ("occurred_at", "usage", "status", "service_tier", "metadata")
_ENUMS = (("status", usage_pb2.Status, "STATUS_"), ("service_tier", usage_pb2.ServiceTier, "SERVICE_TIER_"))


def encode_batch(events: Sequence[Event]) -> bytes:
    """A UsageBatch, as the gateway would have published it."""
    return to_batch(events).SerializeToString()


def to_batch(events: Sequence[Event]) -> usage_pb2.UsageBatch:
    batch = usage_pb2.UsageBatch(batch_id=uuid.uuid4().hex, door="sdk")
    batch.events.extend(_message(event) for event in events)
    return batch


def _message(event: Event) -> usage_pb2.UsageEvent:
    plain = {name: value for name, value in event.items() if name not in _NESTED}
    for name, enum, prefix in _ENUMS:
        if name in event:
            plain[name] = enum.Value(prefix + event[name].upper())
    message = usage_pb2.UsageEvent(**plain)
    message.occurred_at.FromDatetime(datetime.fromisoformat(event["occurred_at"]))
    usage = dict(event["usage"])
    units = usage.pop("units", None)
    message.usage.CopyFrom(usage_pb2.Usage(**usage, units=units))
    message.metadata.update(event.get("metadata", {}))
    return message
