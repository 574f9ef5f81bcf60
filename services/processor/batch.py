"""What flows through the pipeline: messages in, a prepared flush out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import compress

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Message:
    """One Kafka message. `received_us`: the broker's LogAppendTime, epoch microseconds."""

    partition: int
    offset: int
    received_us: int
    value: bytes
    # Sent by an operator who said that its events count whatever their time.
    admitted: bool = False
    # The bytes it has in the log where `value` is only the beginning of them: too many to be a message.
    cut_from_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where an event came from: message and position in it (-1: the message as a whole)."""

    partition: int
    offset: int
    index: int


@dataclass(frozen=True, slots=True)
class DeadEvent:
    """An event that is bad whenever it is tried, with its bytes."""

    place: Place
    received_us: int
    reason: str
    detail: str
    payload: bytes
    tenant_id: str = ""
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class QuarantinedEvent:
    """A good event whose time is outside the acceptance window."""

    place: Place
    received_us: int
    occurred_us: int
    tenant_id: str
    event_id: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Span:
    """The messages of one partition in a flush: offsets [first, next), the broker's time of the last.

    `holes`: half-open ranges of offsets in between that no message of the flush has.
    """

    first_offset: int
    next_offset: int
    through_us: int
    holes: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True)
class Decoded:
    """Events of a flush as columns, still in the order they came.

    `table` has the columns of `services.processor.decode.SCHEMA`; row i stands at `partition[i], offset[i], index[i]`
    of the table itself. `payloads[i]` are the bytes of row i.
    """

    table: pa.Table
    payloads: list[bytes]
    dead: list[DeadEvent] = field(default_factory=list)
    quarantined: list[QuarantinedEvent] = field(default_factory=list)
    # Repeats within the flush, by place; counted, not kept.
    repeats: list[Place] = field(default_factory=list)
    spans: dict[int, Span] = field(default_factory=dict)
    # (partition, offset) of the messages that an operator admitted.
    admitted: frozenset[tuple[int, int]] = frozenset()
    # (partition, offset) of each message → events in it, 1 for one that is bad as a whole; counted first of all.
    read: dict[tuple[int, int], int] = field(default_factory=dict)
    # 8 bytes for the identity of each row there was, in order: what shares none of them shares no identity.
    halves: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, dtype=np.uint64))

    def keep(self, mask: NDArray[np.bool_]) -> None:
        """Keeps the rows that `mask` says, one bool a row."""
        self.table = self.table.filter(pa.array(mask))
        self.payloads = list(compress(self.payloads, mask.tolist()))

    def is_admitted(self, row: int) -> bool:
        place = self.place(row)
        return (place.partition, place.offset) in self.admitted

    def places(self, rows: Sequence[int]) -> list[Place]:
        """`place` of many rows."""
        taken = self.table.select(["kafka_partition", "kafka_offset", "message_index"]).take(pa.array(rows, pa.int64()))
        return list(map(Place, *(column.to_pylist() for column in taken.columns)))

    def place(self, row: int) -> Place:
        at = {
            name: self.table.column(name)[row].as_py() for name in ("kafka_partition", "kafka_offset", "message_index")
        }
        return Place(at["kafka_partition"], at["kafka_offset"], at["message_index"])
