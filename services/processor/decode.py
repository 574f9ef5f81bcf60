"""Wire to columns: Kafka messages → one Arrow table of events. A bad event or message is set aside with its bytes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import ptars
import pyarrow as pa
from google.protobuf.message import DecodeError

from services.contracts.errors import Reason
from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.contracts.topics import EVENTS_PER_MESSAGE_MAX, MESSAGE_BYTES_MAX
from services.processor.batch import DeadEvent, Decoded, Message, Place, Span

# A timestamp outside what int64 microseconds hold saturates here and is refused at admission; nanoseconds would
# saturate at the year 2262 already.
_POOL = ptars.HandlerPool([usage_pb2.DESCRIPTOR], config=ptars.PtarsConfig(timestamp_unit="us"))
# Doors send at most EVENTS_PER_MESSAGE_MAX. Far above it, a message is not usage: 4 MB hold two million empty events.
_EVENTS_MAX = 20 * EVENTS_PER_MESSAGE_MAX
_HANDLER = _POOL.get_for_message(usage_pb2.UsageEvent.DESCRIPTOR)


def decode(messages: Sequence[Message]) -> Decoded:
    """All events of `messages` (UsageBatch each) in order, flattened; what can't be decoded is in `dead`."""
    dead: list[DeadEvent] = []
    payloads: list[bytes] = []
    origins: list[tuple[Message, int]] = []
    # Counted here, before anything is decided: the ledger compares it with what became of the events.
    read = {(message.partition, message.offset): 1 for message in messages}
    for message in messages:
        size = message.cut_from_bytes or len(message.value)
        if size > MESSAGE_BYTES_MAX:
            detail = f"a message of {size} bytes, at most {MESSAGE_BYTES_MAX}"
            dead.append(_dead(message, -1, message.value, detail))
            continue
        try:
            events = usage_pb2.UsageBatchEnvelope.FromString(message.value).events
        except DecodeError as error:
            dead.append(_dead(message, -1, message.value, str(error)))
            continue
        if len(events) > _EVENTS_MAX:
            dead.append(_dead(message, -1, message.value, f"{len(events)} events in a message, at most {_EVENTS_MAX}"))
            continue
        read[message.partition, message.offset] = len(events)
        payloads.extend(events)
        origins.append((message, len(events)))
    admitted = frozenset((message.partition, message.offset) for message in messages if message.admitted)
    table = _columns(payloads)
    if table is None:
        payloads, origins_each, bad = _sift(origins, payloads)
        dead += bad
        table = _columns(payloads)
        if table is None:
            raise AssertionError("events that decode one by one do not decode together")
        placed = _with_origin(table, *_origin_columns(origins_each))
    else:
        placed = _with_origin(table, *_repeat_origins(origins))
    return Decoded(placed, payloads, dead, spans=_spans(messages), admitted=admitted, read=read)


def _columns(payloads: list[bytes]) -> pa.Table | None:
    """Columns of all payloads, or None when one of them is bad."""
    try:
        return pa.Table.from_batches([_HANDLER.list_to_record_batch(payloads)])
    except ValueError:
        return None


def _sift(
    origins: list[tuple[Message, int]], payloads: list[bytes]
) -> tuple[list[bytes], list[tuple[Message, int]], list[DeadEvent]]:
    """Tries events one by one; the slow path, taken only when a flush holds a bad one."""
    good: list[bytes] = []
    places: list[tuple[Message, int]] = []
    dead: list[DeadEvent] = []
    remaining = iter(payloads)
    for message, count in origins:
        for index in range(count):
            payload = next(remaining)
            try:
                _HANDLER.list_to_record_batch([payload])
            except ValueError as error:
                dead.append(_dead(message, index, payload, str(error)))
                continue
            good.append(payload)
            places.append((message, index))
    return good, places, dead


def _dead(message: Message, index: int, payload: bytes, detail: str) -> DeadEvent:
    place = Place(message.partition, message.offset, index)
    return DeadEvent(place, message.received_us, Reason.UNDECODABLE, detail, payload)


_Origins = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _repeat_origins(origins: list[tuple[Message, int]]) -> _Origins:
    counts = np.array([count for _, count in origins], dtype=np.int64)
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    return (
        np.repeat(np.array([m.partition for m, _ in origins], dtype=np.int16), counts),
        np.repeat(np.array([m.offset for m, _ in origins], dtype=np.int64), counts),
        np.repeat(np.array([m.received_us for m, _ in origins], dtype=np.int64), counts),
        (np.arange(int(counts.sum()), dtype=np.int64) - starts).astype(np.int32),
    )


def _origin_columns(places: list[tuple[Message, int]]) -> _Origins:
    return (
        np.array([m.partition for m, _ in places], dtype=np.int16),
        np.array([m.offset for m, _ in places], dtype=np.int64),
        np.array([m.received_us for m, _ in places], dtype=np.int64),
        np.array([index for _, index in places], dtype=np.int32),
    )


def _with_origin(
    table: pa.Table, partition: np.ndarray, offset: np.ndarray, received: np.ndarray, index: np.ndarray
) -> pa.Table:
    received_at = pa.array(received).cast(pa.timestamp("us", "UTC"))
    for name, column in (
        ("kafka_partition", pa.array(partition)),
        ("kafka_offset", pa.array(offset)),
        ("received_at", received_at),
        ("message_index", pa.array(index)),
    ):
        table = table.append_column(name, column)
    return table


def _spans(messages: Sequence[Message]) -> dict[int, Span]:
    spans: dict[int, Span] = {}
    for message in messages:
        before = spans.get(message.partition)
        first, holes = (before.first_offset, before.holes) if before else (message.offset, ())
        if before and message.offset > before.next_offset:
            holes = (*holes, (before.next_offset, message.offset))
        spans[message.partition] = Span(first, message.offset + 1, message.received_us, holes)
    return spans
