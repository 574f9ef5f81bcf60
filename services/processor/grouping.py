"""Grouping of rows by several columns, on numbers: exact sums, least and greatest per group. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Int64s = NDArray[np.int64]
_KEY_SPACE_MAX = 1 << 62
_NARROW_MAX = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """A column as numbers 0..size-1 that sort as its values do."""

    by_row: Int64s
    size: int

    def at(self, rows: Int64s | None) -> Codes:
        """Those of some rows; None are all."""
        return self if rows is None else Codes(self.by_row[rows], self.size)


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Equal rows together, groups in the order of their keys."""

    # The first row of each group.
    first: Int64s
    # Rows, a group after the other, each in the order they came; and where in it each group begins.
    _rows: NDArray[np.integer]
    _starts: Int64s

    def __len__(self) -> int:
        return len(self.first)

    def sums(self, values: Int64s) -> Int64s:
        return self._reduced(np.add, values)

    def least(self, values: Int64s) -> Int64s:
        return self._reduced(np.minimum, values)

    def greatest(self, values: Int64s) -> Int64s:
        return self._reduced(np.maximum, values)

    def counts(self) -> Int64s:
        return np.diff(self._starts, append=len(self._rows))

    def _reduced(self, ufunc: np.ufunc, values: Int64s) -> Int64s:
        return np.asarray(ufunc.reduceat(values[self._rows], self._starts)) if len(self) else values[:0]


def encode(column: pa.ChunkedArray | pa.Array) -> Codes:
    """Numbers for a column without nulls. Costs a hash a row and a sort of the distinct values."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = array.dictionary_encode()
    order = np.asarray(pc.sort_indices(encoded.dictionary))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return Codes(rank[np.asarray(encoded.indices)], max(len(order), 1))


def group(columns: Sequence[Codes]) -> Groups:
    """Groups the rows whose codes are equal in every column."""
    combined, space = columns[0].by_row, columns[0].size
    for column in columns[1:]:
        if space * column.size > _KEY_SPACE_MAX:
            dense = encode(pa.array(combined))
            combined, space = dense.by_row, dense.size
        combined, space = combined * column.size + column.by_row, space * column.size
    dense = encode(pa.array(combined))
    return _gathered(dense.by_row, dense.size if len(combined) else 0)


def _gathered(group_of_row: Int64s, size: int) -> Groups:
    # Numbers of two bytes are sorted by radix, several times faster.
    narrow = group_of_row.astype(np.uint16) if size <= _NARROW_MAX else group_of_row
    rows = np.argsort(narrow, kind="stable")
    counts = np.bincount(group_of_row, minlength=size)
    starts = (np.cumsum(counts) - counts).astype(np.int64)
    return Groups(rows[starts].astype(np.int64), rows, starts)
