"""Who an event is: its key, the hash of its content, and repeats within a flush."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from services.contracts.errors import Reason
from services.contracts.event_key import KEY_BYTES, event_key
from services.processor.batch import DeadEvent, Decoded

_blake2b = hashlib.blake2b

_TEXT_BYTES = 36
_DASHES = (8, 13, 18, 23)
_DIGITS = tuple(set(range(_TEXT_BYTES)) - set(_DASHES))
_NO_DIGIT = 255
# The value of each byte that is a lower-case hexadecimal digit.
_VALUES = np.full(256, _NO_DIGIT, dtype=np.uint8)
_VALUES[np.frombuffer(b"0123456789abcdef", dtype=np.uint8)] = np.arange(16)


def event_keys(event_ids: pa.StringArray) -> NDArray[np.uint8]:
    """The `event_key` of each id, shape (n, 16): UUIDs all at once, others one by one."""
    keys = np.zeros((len(event_ids), KEY_BYTES), dtype=np.uint8)
    rows, found = _uuid7_keys(event_ids)
    keys[rows] = found
    others = np.ones(len(event_ids), dtype=bool)
    others[rows] = False
    for row in np.flatnonzero(others).tolist():
        keys[row] = np.frombuffer(event_key(event_ids[row].as_py()), dtype=np.uint8)
    return keys


def _uuid7_keys(event_ids: pa.StringArray) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """The rows that are canonical UUIDv7, and their bytes."""
    data = event_ids.buffers()[2]
    starts = np.frombuffer(event_ids.buffers()[1], dtype=np.int32)[event_ids.offset :][: len(event_ids) + 1]
    rows = np.flatnonzero(np.diff(starts) == _TEXT_BYTES)
    if data is None or not len(rows):
        return np.zeros(0, dtype=np.int64), np.zeros((0, KEY_BYTES), dtype=np.uint8)
    text = np.frombuffer(data, dtype=np.uint8)[starts[rows, None] + np.arange(_TEXT_BYTES, dtype=np.int32)]
    digits = _VALUES[text[:, _DIGITS]]
    good = (digits != _NO_DIGIT).all(axis=1) & (text[:, _DASHES] == ord("-")).all(axis=1)
    # The version, and the variant's two bits.
    good &= (digits[:, 12] == 7) & (digits[:, 16] & 0b1100 == 0b1000)
    return rows[good], (digits[good, 0::2] << 4) | digits[good, 1::2]


def content_hash(payload: bytes) -> bytes:
    """8 bytes over the event as its door wrote it. Doors serialize deterministically: equal content is equal bytes."""
    return _blake2b(payload, digest_size=8).digest()


def identify(decoded: Decoded) -> None:
    """Adds `event_key` (16 bytes) and `content_hash` (int64); of equal identities in the flush the first stays.

    A later one with the same content is a repeat, one with other content a conflict and dead.
    """
    keys = event_keys(decoded.table.column("event_id").combine_chunks())
    content = np.frombuffer(b"".join(map(content_hash, decoded.payloads)), dtype=np.int64)
    key_column = pa.FixedSizeBinaryArray.from_buffers(pa.binary(KEY_BYTES), len(keys), [None, pa.py_buffer(keys)])
    decoded.table = decoded.table.append_column("event_key", key_column).append_column(
        "content_hash", pa.array(content)
    )
    halves = _halves(keys)
    decoded.halves = np.sort(halves)
    alike = _alike(halves, decoded.halves)
    if len(alike):
        _drop_repeats(decoded, alike, content)


def half_keys(event_keys: pa.ChunkedArray) -> NDArray[np.uint64]:
    """8 bytes for each key of 16: they sort several times faster; that two agree by chance costs a closer look."""
    column = event_keys.combine_chunks()
    data = column.buffers()[1]
    if data is None:
        return np.zeros(0, dtype=np.uint64)
    keys = np.frombuffer(data, dtype=np.uint8)[column.offset * KEY_BYTES :][: len(column) * KEY_BYTES]
    return _halves(keys.reshape(-1, KEY_BYTES))


def _halves(keys: NDArray[np.uint8]) -> NDArray[np.uint64]:
    halves = keys.view(np.uint64)
    return np.asarray(halves[:, 0] ^ halves[:, 1])


def _alike(halves: NDArray[np.uint64], order: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The rows that share their value with another, ascending; `order` are the values sorted."""
    repeated = order[1:][order[1:] == order[:-1]]
    return np.flatnonzero(np.isin(halves, repeated)) if len(repeated) else np.zeros(0, dtype=np.int64)


def identities(decoded: Decoded, rows: NDArray[np.int64]) -> list[tuple[str, bytes]]:
    """(tenant, event_key) of some rows."""
    taken = decoded.table.select(["tenant_id", "event_key"]).take(pa.array(rows))
    return list(zip(taken.column(0).to_pylist(), taken.column(1).to_pylist(), strict=True))


def _drop_repeats(decoded: Decoded, alike: NDArray[np.int64], content: np.ndarray) -> None:
    first: dict[tuple[str, bytes], int] = {}
    kept = np.ones(len(decoded.table), dtype=bool)
    for row, identity in zip(alike.tolist(), identities(decoded, alike), strict=True):
        winner = first.setdefault(identity, row)
        if winner == row:
            continue
        kept[row] = False
        if content[winner] == content[row]:
            decoded.repeats.append(decoded.place(row))
        else:
            decoded.dead.append(conflict(decoded, row))
    if not kept.all():
        decoded.keep(kept)


def conflict(decoded: Decoded, row: int) -> DeadEvent:
    """The dead letter of a row whose identity is taken by an event with other content."""
    table = decoded.table
    return DeadEvent(
        decoded.place(row),
        table.column("received_at")[row].value,
        Reason.CONFLICT,
        "the same event_id was counted before with other content; the first stays",
        decoded.payloads[row],
        table.column("tenant_id")[row].as_py(),
        table.column("event_id")[row].as_py(),
    )
