"""The dead-letter topic as operators use it: read from beginning to end, and sent through the usage topic again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError

from services.cli.operating import Place, Refused
from services.contracts.stubs.spendstream.v1 import spike_pb2, usage_pb2
from services.contracts.topics import EVENTS_PER_MESSAGE_MAX, MESSAGE_BYTES_MAX

_TIMEOUT_SECONDS = 30.0
_CUT = "bytes cut)"


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter; `place` (partition:offset:index in the usage topic) is its name, the same in every copy of it."""

    place: str
    reason: str
    detail: str
    tenant_id: str
    event_id: str
    failed_at: datetime
    payload: bytes

    @property
    def whole_message(self) -> bool:
        return self.place.endswith(":-1")

    def summary(self) -> dict[str, object]:
        return {
            "place": self.place, "reason": self.reason, "detail": self.detail, "tenant_id": self.tenant_id,
            "event_id": self.event_id, "failed_at": self.failed_at, "bytes": len(self.payload),
        }  # fmt: skip

    def decoded(self) -> dict[str, Any] | None:
        """The event in JSON's form, or None when the bytes are none."""
        if self.whole_message:
            return None
        try:
            return MessageToDict(usage_pb2.UsageEvent.FromString(self.payload), preserving_proto_field_name=True)
        except DecodeError:
            return None


def read_letters(place: Place) -> Iterator[Letter]:
    """Every letter that is in the topic now, oldest first, each once. Raises KafkaException when the broker is away."""
    consumer = Consumer(place.kafka(group_id="spendstream-dlq", enable_auto_commit=False, enable_partition_eof=True))
    topic, seen = place.dead_letter_topic, set[str]()
    try:
        partitions = consumer.list_topics(topic, timeout=_TIMEOUT_SECONDS).topics[topic].partitions
        reading = set(partitions)
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
        while reading:
            message = consumer.poll(_TIMEOUT_SECONDS)
            if message is None:
                raise Refused(f"the broker doesn't answer within {_TIMEOUT_SECONDS:.0f} s")
            error = message.error()
            if error is not None:
                if error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                reading.discard(message.partition() or 0)
                continue
            letter = _letter(message)
            if letter.place not in seen:
                seen.add(letter.place)
                yield letter
    finally:
        consumer.close()


def _letter(message: Message) -> Letter:
    letter = spike_pb2.DeadLetter.FromString(message.value() or b"")
    return Letter(
        f"{letter.partition}:{letter.offset}:{letter.index}",
        letter.reason,
        letter.detail,
        letter.tenant_id,
        letter.event_id,
        letter.failed_at.ToDatetime(UTC),
        letter.payload,
    )


def send_again(place: Place, letters: Sequence[Letter]) -> int:
    """Sends what the letters hold through the usage topic once more; the number of letters the broker has taken.

    Identity decides as it does for any event: what was counted meanwhile is a duplicate, a conflict stays one. Raises
    Refused when a payload was cut, or the broker does not take everything.
    """
    cut = [letter.place for letter in letters if letter.detail.endswith(_CUT)]
    if cut:
        raise Refused(f"{len(cut)} letters hold only a part of their bytes and can't be sent: {', '.join(cut[:5])}")
    send(place, list(_messages(letters)))
    return len(letters)


def _messages(letters: Sequence[Letter]) -> Iterator[tuple[bytes, bytes]]:
    by_tenant: dict[str, list[bytes]] = {}
    for letter in letters:
        if letter.whole_message:
            yield b"", letter.payload
        else:
            by_tenant.setdefault(letter.tenant_id, []).append(letter.payload)
    for tenant_id, payloads in by_tenant.items():
        for message in batches(payloads, "dlq"):
            yield tenant_id.encode(), message


def batches(payloads: Sequence[bytes], door: str) -> Iterator[bytes]:
    """Messages of these events, none larger than the topic takes."""
    events: list[bytes] = []
    size = 0
    for payload in payloads:
        if events and (len(events) == EVENTS_PER_MESSAGE_MAX or size + len(payload) > MESSAGE_BYTES_MAX // 2):
            yield usage_pb2.UsageBatchEnvelope(events=events, door=door).SerializeToString()
            events, size = [], 0
        events.append(payload)
        size += len(payload)
    if events:
        yield usage_pb2.UsageBatchEnvelope(events=events, door=door).SerializeToString()


def send(place: Place, messages: Sequence[tuple[bytes, bytes]], headers: Sequence[tuple[str, bytes]] = ()) -> None:
    """Returns when the broker has all (key, value); raises Refused when it does not take them."""
    producer = Producer(
        place.kafka(
            acks="all",
            enable_idempotence=True,
            compression_type="zstd",
            message_max_bytes=MESSAGE_BYTES_MAX,
            message_timeout_ms=int(_TIMEOUT_SECONDS * 1000),
        )
    )
    failed: list[str] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failed.append(error.str())

    for key, value in messages:
        producer.produce(place.usage_topic, value, key or None, headers=list(headers), on_delivery=delivered)
        producer.poll(0)
    waiting = producer.flush(_TIMEOUT_SECONDS)
    if failed or waiting:
        raise Refused(f"the broker did not take {len(failed) + waiting} messages ({(failed or ['no answer'])[0]})")
