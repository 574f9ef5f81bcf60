"""What PostgreSQL sends as arrays becomes columns."""

from __future__ import annotations

import struct

import pyarrow as pa
import pytest

from services.processor.fetching import AT, UUID, fixed, texts

# Object identifiers of the element types, which nobody looks at.
INT4, INT8, TIMESTAMPTZ, UUID_OID, BOOL = 23, 20, 1184, 2950, 16


def array(oid: int, *elements: bytes, nulls: int = 0) -> bytes:
    """The documented binary form of a one-dimensional array that begins at 1."""
    head = struct.pack(">iiIii", 1, nulls, oid, len(elements), 1)
    return head + b"".join(struct.pack(">i", len(element)) + element for element in elements)


def lengths(*values: str) -> bytes:
    return array(INT4, *(struct.pack(">i", len(value.encode())) for value in values))


def test_numbers_moments_flags_and_keys_are_read_as_they_are() -> None:
    big = array(INT8, struct.pack(">q", -3), struct.pack(">q", 2**62))
    assert fixed(big, pa.int64()).to_pylist() == [-3, 2**62]
    # The server counts microseconds from 2000-01-01; this is half a second past it.
    (moment,) = fixed(array(TIMESTAMPTZ, struct.pack(">q", 500_000)), AT).to_pylist()
    assert moment.isoformat() == "2000-01-01T00:00:00.500000+00:00"
    assert fixed(array(BOOL, b"\1", b"\0"), pa.bool_()).to_pylist() == [True, False]
    assert fixed(array(UUID_OID, bytes(range(16))), UUID).to_pylist() == [bytes(range(16))]


def test_texts_keep_their_bounds_whatever_is_in_them() -> None:
    said = ["", "a,b", "\n\"'\x01", "größer 🙂", ""]
    assert texts(lengths(*said), "".join(said).encode()).to_pylist() == said
    assert texts(lengths("", ""), b"").to_pylist() == ["", ""]


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(AssertionError, match="texts of 3 bytes are 2 bytes together"):
        texts(lengths("abc"), b"ab")
    with pytest.raises(AssertionError, match="nulls: 1"):
        fixed(array(INT8, struct.pack(">q", 1), nulls=1), pa.int64())
