"""Ids that are the same each time the demo is played: a UUIDv7 made of an event's time and its name. Pure."""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime

from services.cli.times import EPOCH, MICROSECOND

_RANDOM_BITS = 74


def uuid7_of(instant: datetime, name: str) -> str:
    """RFC 9562's layout with the 74 random bits taken from a hash of `name`: the same arguments, the same id."""
    milliseconds = (instant - EPOCH) // MICROSECOND // 1_000
    digest = int.from_bytes(hashlib.sha256(name.encode()).digest()) & ((1 << _RANDOM_BITS) - 1)
    rand_a, rand_b = digest >> 62, digest & ((1 << 62) - 1)
    return str(uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | rand_a << 64 | 0x2 << 62 | rand_b))
