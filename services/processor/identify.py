"""Who an event is: its key, the hash of its content, and repeats within a flush."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import pyarrow as pa

from services.contracts.errors import Reason
from services.processor.batch import DeadEvent, Decoded

# RFC 9562 version 7: time-ordered, so that new keys go to the right edge of the index.
_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
KEY_BYTES = 16
_blake2b = hashlib.blake2b


def event_key(event_id: str) -> bytes:
    """16 bytes: the id itself if it is a canonical UUIDv7, else a 128-bit hash of it.

    A hash never looks like a version 7 UUID (its version nibble is set to 8, RFC 9562's "custom"), so that no id can be
    made to collide with another's UUID.
    """
    if len(event_id) == 36 and _UUID7.fullmatch(event_id):
        return bytes.fromhex(event_id.replace("-", ""))
    digest = bytearray(_blake2b(event_id.encode(), digest_size=KEY_BYTES).digest())
    digest[6] = (digest[6] & 0x0F) | 0x80
    digest[8] = (digest[8] & 0x3F) | 0x80
    return bytes(digest)


def content_hash(payload: bytes) -> bytes:
    """8 bytes over the event as its door wrote it. Doors serialize deterministically: equal content is equal bytes."""
    return _blake2b(payload, digest_size=8).digest()


def identify(decoded: Decoded) -> None:
    """Adds `event_key` (16 bytes) and `content_hash` (int64); of equal identities in the flush the first stays.

    A later one with the same content is a repeat, one with other content a conflict and dead.
    """
    ids = decoded.table.column("event_id").to_pylist()
    keys = [event_key(event_id) for event_id in ids]
    hashes = b"".join([content_hash(payload) for payload in decoded.payloads])
    content = np.frombuffer(hashes, dtype=np.int64)
    key_column = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(KEY_BYTES), len(keys), [None, pa.py_buffer(b"".join(keys))]
    )
    decoded.table = decoded.table.append_column("event_key", key_column).append_column(
        "content_hash", pa.array(content)
    )
    if len(set(keys)) < len(keys):
        _drop_repeats(decoded, keys, content)


def _drop_repeats(decoded: Decoded, keys: list[bytes], content: np.ndarray) -> None:
    tenants = decoded.table.column("tenant_id").to_pylist()
    first: dict[tuple[str, bytes], int] = {}
    keep: list[int] = []
    for row, identity in enumerate(zip(tenants, keys, strict=True)):
        winner = first.setdefault(identity, row)
        if winner == row:
            keep.append(row)
        elif content[winner] == content[row]:
            decoded.repeats.append(decoded.place(row))
        else:
            decoded.dead.append(conflict(decoded, row))
    decoded.keep(pa.array(keep, pa.int64()))


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
