"""UUIDv7 as RFC 9562 lays it out: 48 bits of milliseconds, then 74 random ones."""

from __future__ import annotations

import os
import random
from uuid import UUID

# Seeded from the operating system; a fork would otherwise go on with its parent's numbers.
# Not for secrets: ids must differ, not be secret.
_random = random.Random(os.urandom(32))  # nosec B311
os.register_at_fork(after_in_child=lambda: _random.seed(os.urandom(32)))

_getrandbits = _random.getrandbits
_VERSION_7 = 0x7 << 76
_VARIANT = 0x2 << 62


def uuid7_int(time_ns: int) -> int:
    """A new id for a moment in nanoseconds of the epoch, as an integer: cheap enough for the caller's thread."""
    bits = _getrandbits(74)
    return (
        (time_ns // 1_000_000 & 0xFFFF_FFFF_FFFF) << 80
        | _VERSION_7
        | (bits >> 62) << 64
        | _VARIANT
        | bits & ~(-1 << 62)
    )


def to_text(value: int) -> str:
    """The id in its usual form."""
    return str(UUID(int=value))


def uuid7_text(time_ns: int) -> str:
    return to_text(uuid7_int(time_ns))
