"""Unpacks what Kafka's producers compressed, in bounded memory: a few megabytes can hold gigabytes of zeros.

The broker's limits are of the compressed batch, and aiokafka unpacks a batch whole before anybody sees a message. Here
a batch is unpacked into a buffer of fixed size; one that does not fit is read record by record from a stream, and of a
record that no message can be only the beginning is kept. Its neighbours in the batch are read as ever.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from io import BufferedReader
from typing import Any

import cramjam
import pyarrow as pa
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBase, DefaultRecordBatch
from aiokafka.record.memory_records import MemoryRecords

from services.contracts.topics import MESSAGE_BYTES_MAX

# Batches of up to this size, unpacked, take the quick path; larger ones are read as a stream.
UNPACKED_BYTES_QUICK = 16 * 1024 * 1024
# Of one record, its key and its headers included.
RECORD_BYTES_MAX = MESSAGE_BYTES_MAX + 64 * 1024
_SKIP_BYTES = 1 << 20
_VARINT_BYTES_MAX = 10

_HEADER = DefaultRecordBase.HEADER_STRUCT
_LENGTH_AT, _BEFORE_LENGTH_ENDS, _MAGIC_AT = 8, 12, 16
_ATTRIBUTES_AT = DefaultRecordBase.ATTRIBUTES_OFFSET
_MAGIC_NOW = 2
# Kafka's codec → how it is unpacked into a buffer, and its name as a stream. Snappy is not among them: it packs no more
# than 22 times, and says first how large it gets.
_CODECS: dict[int, tuple[Callable[[Any, Any], int], str]] = {
    DefaultRecordBase.CODEC_GZIP: (cramjam.gzip.decompress_into, "gzip"),
    DefaultRecordBase.CODEC_LZ4: (cramjam.lz4.decompress_into, "lz4"),
    DefaultRecordBase.CODEC_ZSTD: (cramjam.zstd.decompress_into, "zstd"),
}


class CutValue(bytes):
    """The beginning of a record's value that is too large to be a message; `size_bytes` is the whole record's."""

    size_bytes: int


@dataclass(frozen=True, slots=True)
class CutRecord:
    """A record as aiokafka hands it on, of which only the beginning is here."""

    offset: int
    timestamp: int
    timestamp_type: int
    value: CutValue
    key: bytes | None = None
    headers: list[tuple[str, bytes | None]] = field(default_factory=list)
    checksum: None = None


def bound_unpacking() -> None:
    """Has aiokafka's consumers in this process read through BoundedRecords."""
    assert hasattr(fetcher, "MemoryRecords"), "aiokafka's fetcher reads batches through MemoryRecords"
    fetcher.MemoryRecords = partial(BoundedRecords, bytearray(UNPACKED_BYTES_QUICK))


class BoundedRecords:
    """The batches of one answer of the broker; takes the place of aiokafka's MemoryRecords. `scratch` is shared."""

    def __init__(self, scratch: bytearray, answer: bytes) -> None:
        self._scratch = scratch
        self._answer = memoryview(answer)
        self._at = 0

    def size_in_bytes(self) -> int:
        return len(self._answer)

    def has_next(self) -> bool:
        """Whether a whole batch is left: an answer may end in the middle of one."""
        return self._end() <= len(self._answer)

    def next_batch(self) -> Any:  # noqa: ANN401
        """The next batch, or None."""
        if not self.has_next():
            return None
        batch, self._at = bytes(self._answer[self._at : self._end()]), self._end()
        packed = batch[_MAGIC_AT] == _MAGIC_NOW and batch[_ATTRIBUTES_AT + 1] & DefaultRecordBase.CODEC_MASK in _CODECS
        return BoundedBatch(self._scratch, batch) if packed else MemoryRecords(batch).next_batch()

    def _end(self) -> int:
        if len(self._answer) - self._at < _BEFORE_LENGTH_ENDS:
            return len(self._answer) + 1
        length: int = struct.unpack_from(">i", self._answer, self._at + _LENGTH_AT)[0]
        return self._at + _BEFORE_LENGTH_ENDS + length


class BoundedBatch:
    """A packed batch. What is not about its records is asked of aiokafka's own batch."""

    def __init__(self, scratch: bytearray, batch: bytes) -> None:
        self._scratch = scratch
        self._batch = batch
        self._packed = DefaultRecordBatch(batch)
        self._into, self._codec = _CODECS[self._packed.compression_type]

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._packed, name)

    def __iter__(self) -> Iterator[Any]:
        body = self._batch[_HEADER.size :]
        try:
            size = self._into(body, self._scratch)
        except cramjam.DecompressionError:  # larger than the buffer, or broken: then the stream says so
            return self._streamed(body)
        return iter(self._plain(self._scratch[:size], self._header()[-1]))

    def _header(self) -> tuple[int, ...]:
        header: tuple[int, ...] = _HEADER.unpack_from(self._batch)
        return header

    def _plain(self, records: bytes | bytearray, count: int) -> DefaultRecordBatch:
        """A batch of these records, not packed. Its checksum means nothing: the packed one's is what is checked."""
        header = list(self._header())
        header[1] = _HEADER.size - _BEFORE_LENGTH_ENDS + len(records)
        header[5] &= ~DefaultRecordBase.CODEC_MASK
        header[-1] = count
        return DefaultRecordBatch(_HEADER.pack(*header) + records)

    def _streamed(self, body: bytes) -> Iterator[Any]:
        stream = BufferedReader(pa.CompressedInputStream(pa.BufferReader(body), self._codec))
        try:
            for _ in range(self._header()[-1]):
                yield self._record(stream)
        except (OSError, EOFError, IndexError, pa.ArrowInvalid) as error:
            raise CorruptRecordException(f"a batch at {self._packed.base_offset} can't be unpacked: {error}") from error

    def _record(self, stream: BufferedReader) -> Any:  # noqa: ANN401
        length, written = _read_varint(stream)
        if length < 0:
            raise EOFError("a record of a negative length")
        record = _read(stream, min(length, RECORD_BYTES_MAX))
        if length > RECORD_BYTES_MAX:
            _skip(stream, length - RECORD_BYTES_MAX)
            return self._cut(record, length)
        return next(iter(self._plain(written + record, 1)))

    def _cut(self, beginning: bytes, size_bytes: int) -> CutRecord:
        """What is known of a record by its first bytes: its place, and the beginning of its value."""
        time_delta, at = _varint(beginning, 1)  # after one byte of attributes
        offset_delta, at = _varint(beginning, at)
        key_bytes, at = _varint(beginning, at)
        at += max(key_bytes, 0)
        value = CutValue(b"")
        if at + _VARINT_BYTES_MAX < len(beginning):
            value_bytes, at = _varint(beginning, at)
            value = CutValue(beginning[at : at + max(value_bytes, 0)])
        value.size_bytes = size_bytes
        header, by_broker = self._packed, self._packed.timestamp_type
        timestamp = header.max_timestamp if by_broker else header.first_timestamp + time_delta
        return CutRecord(header.base_offset + offset_delta, timestamp, by_broker, value)


def _read(stream: BufferedReader, size: int) -> bytes:
    found = stream.read(size)
    if len(found) < size:
        raise EOFError("it ends too early")
    return found


def _skip(stream: BufferedReader, size: int) -> None:
    while size:
        size -= len(_read(stream, min(size, _SKIP_BYTES)))


def _read_varint(stream: BufferedReader) -> tuple[int, bytes]:
    """A zigzag varint from the stream, and its bytes."""
    written = b""
    while not written or (written[-1] & 0x80 and len(written) < _VARINT_BYTES_MAX):
        written += _read(stream, 1)
    return _varint(written, 0)[0], written


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A zigzag varint, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return (value >> 1) ^ -(value & 1), at
