"""Dead letters out: delivered before the flush that sets them aside commits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from confluent_kafka import KafkaError, Message, Producer

from services.contracts.errors import Retry
from services.contracts.stubs.spendstream.v1 import spike_pb2
from services.contracts.topics import DEAD_LETTER, MESSAGE_BYTES_MAX
from services.processor.batch import DeadEvent
from services.runtime.kafka_settings import PLAINTEXT, KafkaSecurity

_TIMEOUT_SECONDS = 30.0
# Room for the envelope around the bytes; a longer payload is cut and says so.
_PAYLOAD_BYTES_MAX = MESSAGE_BYTES_MAX - 64 * 1024


class DeadLetters:
    """Publishes dead letters, at least once: a flush that is tried again sends its dead again, with the same places."""

    def __init__(
        self,
        bootstrap: str,
        source_topic: str,
        topic: str = DEAD_LETTER.name,
        security: KafkaSecurity = PLAINTEXT,
    ) -> None:
        self._producer = Producer({
            **security.client_config(bootstrap), "enable.idempotence": True, "acks": "all", "compression.type": "zstd",
            "message.max.bytes": MESSAGE_BYTES_MAX, "message.timeout.ms": int(_TIMEOUT_SECONDS * 1000),
        })  # fmt: skip
        self._source_topic = source_topic
        self._topic = topic

    def publish(self, events: Sequence[DeadEvent]) -> None:
        """Returns when the broker has all of them; raises Retry when it has not within 30 s."""
        failed: list[str] = []

        def delivered(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                failed.append(error.str())

        for event in events:
            self._send(event, delivered)
        waiting = self._producer.flush(_TIMEOUT_SECONDS)
        if failed or waiting:
            raise Retry(f"{waiting + len(failed)} dead letters were not taken: {failed[:1]}")

    def _send(self, event: DeadEvent, delivered: Callable[[KafkaError | None, Message], None]) -> None:
        key, value = event.tenant_id.encode(), encode_dead_letter(event, self._source_topic).SerializeToString()
        while True:
            try:
                self._producer.produce(self._topic, value, key, on_delivery=delivered)
                return
            except BufferError:
                self._producer.poll(0.1)


def encode_dead_letter(event: DeadEvent, topic: str) -> spike_pb2.DeadLetter:
    """The wire's form of a dead event."""
    detail = event.detail
    if len(event.payload) > _PAYLOAD_BYTES_MAX:
        detail += f" (payload of {len(event.payload)} bytes cut)"
    letter = spike_pb2.DeadLetter(
        topic=topic,
        partition=event.place.partition,
        offset=event.place.offset,
        index=event.place.index,
        reason=event.reason,
        detail=detail,
        payload=event.payload[:_PAYLOAD_BYTES_MAX],
        tenant_id=event.tenant_id,
        event_id=event.event_id,
    )
    letter.failed_at.FromMicroseconds(event.received_us)
    return letter
