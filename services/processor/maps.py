"""Arrow's map columns, for which its compute functions have few kernels."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def map_lengths(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """How many entries each row's map has; 0 for null."""
    lengths = [np.diff(np.asarray(chunk.offsets, dtype=np.int64)) for chunk in column.chunks]
    return np.concatenate(lengths) if lengths else np.zeros(0, dtype=np.int64)
