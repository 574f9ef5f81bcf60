"""PostgreSQL → Arrow: rows of a query, fetched as one row of arrays. No value passes through Python, and no message is
sent per row, which is most of what COPY costs whoever reads it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import psycopg
import pyarrow as pa
from numpy.typing import NDArray

AT = pa.timestamp("us", "UTC")
UUID = pa.binary(16)
# What an array's elements look like on the wire: their length, which is the same for all, and their bytes.
_WIRE: Mapping[pa.DataType, str] = {
    pa.bool_(): ">u1", pa.int16(): ">i2", pa.int32(): ">i4", pa.int64(): ">i8", AT: ">i8", UUID: "V16",
}  # fmt: skip
_HEADER_BYTES = 20
# The server counts from 2000-01-01.
_EPOCH_US = 946_684_800_000_000


def fetch(
    connection: psycopg.Connection, query: str, values: Mapping[str, object], columns: Mapping[str, pa.DataType]
) -> pa.Table | None:
    """The rows of `query` (bound to `values`), in the order it gives them; None where there are none.

    `columns` are expressions over them with their types here, none of which may be null. The database must be UTF-8.
    """
    selected = ", ".join(_aggregated(name, kind) for name, kind in columns.items())
    with connection.cursor() as cursor:
        # Planned for these very values each time.
        cursor.execute(query.replace("COLUMNS", selected).encode(), values, binary=True, prepare=False)
        result = cursor.pgresult
        assert result is not None, "a query has a result"
        fields = iter([result.get_value(0, number) for number in range(result.nfields)])
    decoded = {}
    for name, kind in columns.items():
        lengths = next(fields)
        if lengths is None:
            return None
        decoded[name] = texts(lengths, next(fields) or b"") if kind == pa.string() else fixed(lengths, kind)
    return pa.table(decoded)


def _aggregated(name: str, kind: pa.DataType) -> str:
    return f"array_agg(octet_length({name})), string_agg({name}, '')" if kind == pa.string() else f"array_agg({name})"


def fixed(array: bytes, kind: pa.DataType) -> pa.Array:
    """An array of values of one size, from its binary form."""
    values = _elements(array, _WIRE[kind])
    if kind == UUID:
        return pa.FixedSizeBinaryArray.from_buffers(kind, len(values), [None, pa.py_buffer(values.tobytes())])
    native = values.astype(values.dtype.newbyteorder("="))
    return pa.array(native + _EPOCH_US).cast(kind) if kind == AT else pa.array(native).cast(kind)


def texts(lengths: bytes, joined: bytes) -> pa.Array:
    """Texts, from the array of their lengths in bytes and all of them in a row."""
    ends = np.cumsum(_elements(lengths, ">i4"), dtype=np.int64)
    if ends[-1] != len(joined) or len(joined) > np.iinfo(np.int32).max:
        raise AssertionError(f"texts of {ends[-1]} bytes are {len(joined)} bytes together")
    offsets = np.concatenate(([0], ends)).astype(np.int32)
    return pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(joined))


def _elements(array: bytes, wire: str) -> NDArray[np.generic]:
    dimensions, nulls = np.frombuffer(array, ">i4", count=2)
    if (dimensions, nulls) != (1, 0):
        raise AssertionError(f"an array of {dimensions} dimensions, nulls: {nulls}")
    return np.frombuffer(array, np.dtype([("length", ">i4"), ("value", wire)]), offset=_HEADER_BYTES)["value"]
