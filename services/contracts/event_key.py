"""The key an event's identity is kept under."""

from __future__ import annotations

import hashlib
import re

# RFC 9562 version 7: time-ordered, so that new keys go to the right edge of the index.
_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
KEY_BYTES = 16


def event_key(event_id: str) -> bytes:
    """16 bytes: the id itself if it is a canonical UUIDv7, else a 128-bit hash of it.

    A hash never looks like a version 7 UUID (its version nibble is set to 8, RFC 9562's "custom"), so that no id can be
    made to collide with another's UUID.
    """
    if len(event_id) == 36 and _UUID7.fullmatch(event_id):
        return bytes.fromhex(event_id.replace("-", ""))
    digest = bytearray(hashlib.blake2b(event_id.encode(), digest_size=KEY_BYTES).digest())
    digest[6] = (digest[6] & 0x0F) | 0x80
    digest[8] = (digest[8] & 0x3F) | 0x80
    return bytes(digest)
