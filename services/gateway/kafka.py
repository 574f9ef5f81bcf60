"""The Kafka producer: acknowledged by all replicas, idempotent, its answers brought into the event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from services.contracts.topics import MESSAGE_BYTES_MAX
from services.gateway import metrics
from services.gateway.coalescing import Outcome, Overloaded
from services.runtime.kafka_settings import PLAINTEXT, KafkaSecurity

log = structlog.get_logger(__name__)

_POLL_SECONDS = 0.1
_READY_TIMEOUT_SECONDS = 2.0
_READY_FRESH_SECONDS = 1.0


def producer_config(
    bootstrap: str, delivery_timeout_ms: int, queue_bytes_max: int, security: KafkaSecurity = PLAINTEXT
) -> dict[str, Any]:
    """Settings as librdkafka names them."""
    return {
        **security.client_config(bootstrap),
        "client.id": "spendstream-gateway",
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": "zstd",
        "compression.level": 1,
        # Events are gathered before; waiting once more would only add to the answer's time.
        "linger.ms": 0,
        "partitioner": "murmur2_random",
        "message.timeout.ms": delivery_timeout_ms,
        "message.max.bytes": MESSAGE_BYTES_MAX,
        "queue.buffering.max.kbytes": max(1, queue_bytes_max // 1024),
        "reconnect.backoff.max.ms": 1_000,
        "allow.auto.create.topics": False,
    }


class KafkaProducer:
    """Sends to one topic. Made and closed in the event loop that its outcomes belong to."""

    def __init__(self, config: dict[str, Any], topic: str) -> None:
        self._topic = topic
        self._loop = asyncio.get_running_loop()
        self._producer = Producer({**config, "error_cb": self._on_error}, logger=logging.getLogger("librdkafka"))
        self._stopping = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="kafka-poll", daemon=True)
        self._poller.start()
        self._checked_at = float("-inf")
        self._was_ready = False
        self._checking = asyncio.Lock()
        self.failed: asyncio.Future[str] = self._loop.create_future()
        """Set when the producer can't go on; a new process can."""

    def send(self, tenant_id: str, batch: bytes, outcome: Outcome) -> None:
        """See `coalescing.Send`."""

        def on_delivery(error: KafkaError | None, _message: Message) -> None:
            self._loop.call_soon_threadsafe(_settle, outcome, error)

        try:
            self._producer.produce(self._topic, batch, tenant_id.encode(), on_delivery=on_delivery)
        except BufferError:
            raise Overloaded("too many messages wait for Kafka") from None
        except KafkaException as error:
            raise Overloaded(error.args[0].str()) from None

    async def is_ready(self) -> bool:
        """Whether the broker answers and has the topic; asked at most once a second."""
        async with self._checking:
            if time.monotonic() - self._checked_at > _READY_FRESH_SECONDS:
                self._was_ready = await asyncio.to_thread(self._has_topic)
                self._checked_at = time.monotonic()
        return self._was_ready

    async def close(self, timeout_seconds: float) -> None:
        """Waits for what is on its way, then ends."""
        left = await asyncio.to_thread(self._producer.flush, timeout_seconds)
        if left:
            log.error("messages_not_delivered", messages=left)
        self._stopping.set()
        await asyncio.to_thread(self._poller.join)

    def _has_topic(self) -> bool:
        try:
            topics = self._producer.list_topics(self._topic, timeout=_READY_TIMEOUT_SECONDS).topics
        except KafkaException:
            return False
        return topics[self._topic].error is None

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(_POLL_SECONDS)

    def _on_error(self, error: KafkaError) -> None:
        log.warning("kafka_error", error=error.str(), fatal=error.fatal())
        if error.fatal():
            self._loop.call_soon_threadsafe(_settle_text, self.failed, error.str())


def _settle(outcome: Outcome, error: KafkaError | None) -> None:
    metrics.KAFKA_MESSAGES.labels("failed" if error else "delivered").inc()
    if not outcome.done():
        outcome.set_result(f"Kafka did not take the events: {error.str()}" if error else None)


def _settle_text(future: asyncio.Future[str], text: str) -> None:
    if not future.done():
        future.set_result(text)
