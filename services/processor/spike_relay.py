"""Takes spikes from the database to Kafka: at least once, acknowledged by the broker before they are marked.

`relay` is called every second or so by the worker. Killed between the acknowledgement and the mark it sends again;
readers know a spike by its `spike_id`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from google.protobuf.timestamp_pb2 import Timestamp

from pricing.money import usd_string
from services.contracts.stubs.spendstream.v1 import spike_pb2
from services.contracts.topics import SPEND_SPIKES
from services.processor.spike_store import Spike, mark_relayed, unrelayed
from services.processor.spike_totals import Connection

FLUSH_SECONDS = 10.0


def relay(connection: Connection, producer: Producer, now: datetime, topic: str = SPEND_SPIKES.name) -> int:
    """How many spikes Kafka has acknowledged, all marked. Those it has not are tried again by the next call.

    The producer should have `acks=all` and a `delivery.timeout.ms` near FLUSH_SECONDS. Raises psycopg.Error.
    """
    acknowledged: list[uuid.UUID] = []
    for spike in unrelayed(connection):
        try:
            producer.produce(
                topic,
                key=spike.tenant_id.encode(),
                value=encode_spike(spike),
                on_delivery=_on_delivery(spike.spike_id, acknowledged),
            )
        except (BufferError, KafkaException):
            break
    producer.flush(FLUSH_SECONDS)
    # A copy: an acknowledgement later than the flush must not be marked half way.
    done = list(acknowledged)
    if done:
        mark_relayed(connection, done, now)
    return len(done)


def encode_spike(spike: Spike) -> bytes:
    """`spendstream.v1.Spike` on the wire."""
    ratio = spike.observed_pico_usd / spike.usual_pico_usd if spike.usual_pico_usd > 0 else float("inf")
    return spike_pb2.Spike(
        spike_id=str(spike.spike_id),
        rule=spike.rule,
        tenant_id=spike.tenant_id,
        dimension=spike.dimension,
        value=spike.value,
        window_start=_timestamp(spike.window_start),
        window_end=_timestamp(spike.window_end),
        detected_at=_timestamp(spike.detected_at),
        observed_cost_usd=usd_string(spike.observed_pico_usd),
        usual_cost_usd=usd_string(spike.usual_pico_usd),
        ratio=ratio,
        cause=spike.cause,
    ).SerializeToString()


def _on_delivery(spike_id: uuid.UUID, acknowledged: list[uuid.UUID]) -> Callable[[KafkaError | None, Message], None]:
    def keep(error: KafkaError | None, _message: Message) -> None:
        if error is None:
            acknowledged.append(spike_id)

    return keep


def _timestamp(moment: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp
