"""Batches straight to Kafka, for services that are trusted with it: `pip install spendstream-sdk[kafka]`.

There is no door on this way: nothing answers for an event, and what is bad ends in the dead-letter topic.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaException, Producer

from spendstream_sdk.records import Event
from spendstream_sdk.transport import Delivered, GiveUp, TooLarge, TryAgain
from spendstream_sdk.wire import encode_batch

TOPIC = "usage.events.v1"
_MESSAGE_BYTES_MAX = 900_000
# Producers of a parent process: their threads don't exist in the child, so ending one here would wait for ever.
_abandoned: list[Producer] = []


class KafkaTransport:
    """One idempotent producer, acknowledged by all replicas. `config` is librdkafka's, for TLS and SASL."""

    def __init__(
        self, bootstrap: str, timeout_seconds: float, config: Mapping[str, Any] | None = None, topic: str = TOPIC
    ) -> None:
        self._topic, self._timeout_seconds = topic, timeout_seconds
        self._config = {
            "bootstrap.servers": bootstrap,
            "client.id": "spendstream-sdk",
            "enable.idempotence": True,
            "acks": "all",
            "compression.type": "zstd",
            "partitioner": "murmur2_random",
            "message.timeout.ms": int(timeout_seconds * 1_000),
            "allow.auto.create.topics": False,
            "log_level": 0,
            **(config or {}),
        }
        self._producer: Producer | None = None

    def send(self, events: Sequence[Event]) -> Delivered:
        """See `Transport.send`. A message holds one tenant's events, as its key says."""
        tenants: dict[str, list[Event]] = {}
        for event in events:
            tenants.setdefault(event["tenant_id"], []).append(event)
        messages = [(tenant_id, encode_batch(of_tenant)) for tenant_id, of_tenant in tenants.items()]
        if len(events) > 1 and any(len(value) > _MESSAGE_BYTES_MAX for _, value in messages):
            raise TooLarge
        failures: list[str] = []
        lock = threading.Lock()

        def on_delivery(error: object, _message: object) -> None:
            if error is not None:
                with lock:
                    failures.append(str(error))

        try:
            producer = self._connect()
            for tenant_id, value in messages:
                producer.produce(self._topic, value, tenant_id.encode(), on_delivery=on_delivery)
            left = producer.flush(self._timeout_seconds + 1)
        except (BufferError, KafkaException) as error:
            raise TryAgain(f"Kafka doesn't take it: {error}") from error
        if left or failures:
            # Others of the batch may be there already: sent again they are duplicates and count once.
            raise TryAgain(f"Kafka doesn't take it: {failures[0] if failures else 'timed out'}")
        return Delivered(len(events))

    def close(self) -> None:
        """See `Transport.close`."""
        if self._producer is not None:
            self._producer.flush(self._timeout_seconds)
            self._producer = None

    def abandon(self) -> None:
        """See `Transport.abandon`."""
        if self._producer is not None:
            _abandoned.append(self._producer)
            self._producer = None

    def _connect(self) -> Producer:
        if self._producer is None:
            try:
                self._producer = Producer(self._config)
            except KafkaException as error:
                raise GiveUp(f"Kafka's settings are wrong: {error}") from error
        return self._producer
