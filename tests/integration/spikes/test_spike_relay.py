"""Spikes reach Kafka, and are marked only after the broker has them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import psycopg
from confluent_kafka import Consumer, Producer

from services.contracts.stubs.spendstream.v1 import spike_pb2
from services.processor.spike_relay import relay
from services.processor.spike_store import detect, open_hours, unrelayed
from services.runtime.embedded.backends import Backends
from tests.backends import FreshTopics
from tests.integration.spikes.spending import make_tenant, spend, spend_steadily

NOON = datetime(2026, 10, 7, 12, tzinfo=UTC)
NOW = NOON + timedelta(minutes=20)


def test_spikes_are_relayed_once_and_wait_while_the_broker_is_away(
    backends: Backends, database: str, kafka_topics: FreshTopics
) -> None:
    topic = kafka_topics.spend_spikes.name
    with psycopg.connect(database) as connection:
        with connection.transaction():
            tenant_no = make_tenant(connection, "acme-corp")
            spend_steadily(connection, tenant_no, NOON)
            spend(connection, tenant_no, NOON, calls=800)
        found = detect(connection, open_hours(connection, NOW), NOW)
        away = Producer({"bootstrap.servers": "127.0.0.1:1", "delivery.timeout.ms": 500})
        assert relay(connection, away, NOW, topic) == 0 and len(unrelayed(connection)) == len(found) == 4
        producer = Producer({"bootstrap.servers": backends.kafka_bootstrap, "acks": "all"})
        assert relay(connection, producer, NOW, topic) == 4
        assert relay(connection, producer, NOW, topic) == 0 and unrelayed(connection) == []
    group = {
        "bootstrap.servers": backends.kafka_bootstrap,
        "group.id": uuid.uuid4().hex,
        "auto.offset.reset": "earliest",
    }
    consumer = Consumer(group)
    consumer.subscribe([topic])
    received = {}
    for message in consumer.consume(4, timeout=30):
        spike = spike_pb2.Spike.FromString(message.value() or b"")
        received[uuid.UUID(spike.spike_id)] = spike
        assert message.key() == b"acme-corp"
    consumer.close()
    assert received.keys() == {spike.spike_id for spike in found}
    spike = received[found[0].spike_id]
    assert (spike.dimension, spike.value, spike.observed_cost_usd, spike.usual_cost_usd) == (
        "feature",
        "chat",
        "1.96",
        "0.245",
    )
    assert spike.ratio == 8.0 and spike.cause == found[0].cause
    assert spike.window_start.ToDatetime(tzinfo=UTC) == NOON
