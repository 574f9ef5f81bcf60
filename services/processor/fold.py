"""Events → rollup rows: sums by key, exact in int64, for every family in `services.contracts.rollups`. Pure.

Folding is commutative and associative: however a stream is cut into flushes, the sums come out the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from services.contracts.rollups import (
    LATENCY,
    LATENCY_BUCKET_MAX,
    LATENCY_BUCKETS_PER_DOUBLING,
    LEVEL_SECONDS,
    ROLLUPS,
    UNITS,
    Rollup,
)

_MICROSECONDS = 1_000_000
_KEY_SPACE_MAX = 1 << 62
# Sums are int64. A flush whose cost may not fit is refused rather than wrapped; it would hold millions of dollars.
_SUM_SAFE = float(1 << 62)


class FoldOverflowError(Exception):
    """The sums of one flush may not fit into int64."""


def _ones(table: pa.Table) -> pa.Array:
    return pa.array(np.ones(len(table), dtype=np.int64))


def _int(condition: pa.Array) -> pa.Array:
    return pc.cast(condition, pa.int64())


# Measures that are not columns of their own.
_DERIVED: Mapping[str, Callable[[pa.Table], pa.Array]] = {
    "calls": _ones,
    "requests": lambda t: _int(pc.equal(t.column("attempt"), 1)),
    "errors": lambda t: _int(pc.not_equal(t.column("status"), "ok")),
    "unpriced_events": lambda t: _int(t.column("unpriced")),
    "late_events": lambda t: _int(t.column("late")),
    "cache_hits": lambda t: _int(t.column("cache_hit")),
    "latency_sum_ms": lambda t: pc.fill_null(t.column("latency_ms"), 0),
    "latency_count": lambda t: _int(pc.is_valid(t.column("latency_ms"))),
    # Billed is what the event cost when it came; later corrections stand apart.
    "adjustment_pico_usd": lambda t: pa.array(np.zeros(len(t), dtype=np.int64)),
}


def fold(events: pa.Table) -> dict[str, pa.Table]:
    """Rollup rows by `Rollup.base_table`: bucket, tenant_no, dimensions, kafka_partition, measures; sorted by key.

    `events` has the storage columns of `services.processor.price` and `tenant_no`. Raises FoldOverflowError.
    """
    _refuse_overflow(events)
    return {rollup.base_table: fold_rollup(_source(events, rollup), rollup) for rollup in ROLLUPS}


def _refuse_overflow(events: pa.Table) -> None:
    for name in ("billed_pico_usd", "response_cache_saved_pico_usd", "prompt_cache_saved_pico_usd"):
        if (pc.sum(events.column(name).cast(pa.float64(), safe=False)).as_py() or 0.0) > _SUM_SAFE:
            raise FoldOverflowError(f"{name} of one flush is above {_SUM_SAFE:.0f} pico-USD")


def _source(events: pa.Table, rollup: Rollup) -> pa.Table:
    if rollup is LATENCY:
        measured = events.filter(pc.is_valid(events.column("latency_ms")))
        return measured.append_column("latency_bucket", latency_buckets(measured.column("latency_ms")))
    return _unit_rows(events) if rollup is UNITS else events


def latency_buckets(latency_ms: pa.ChunkedArray) -> pa.Array:
    """The smallest bucket whose bound holds the latency; int16."""
    latency = np.maximum(np.asarray(latency_ms, dtype=np.float64), 1.0)
    bucket = np.ceil(np.log2(latency) * LATENCY_BUCKETS_PER_DOUBLING - 1e-9)
    return pa.array(np.clip(bucket, 0, LATENCY_BUCKET_MAX).astype(np.int16))


def _unit_rows(events: pa.Table) -> pa.Table:
    """One row per event and unit; most events have none."""
    with_units = events.filter(pc.is_valid(events.column("units")))
    rows, names, quantities = [], [], []
    for row, text in enumerate(with_units.column("units").to_pylist()):
        for name, quantity in json.loads(text).items():
            rows.append(row)
            names.append(name)
            quantities.append(quantity)
    exploded = with_units.take(pa.array(rows, pa.int64()))
    exploded = exploded.append_column("unit", pa.array(names, pa.string()))
    return exploded.append_column("quantity", pa.array(quantities, pa.int64()))


def fold_rollup(events: pa.Table, rollup: Rollup) -> pa.Table:
    """Rows of one family."""
    width = LEVEL_SECONDS[rollup.base_level] * _MICROSECONDS
    occurred = np.asarray(events.column("occurred_at").cast(pa.int64()), dtype=np.int64)
    bucket = pa.array(occurred // width * width).cast(pa.timestamp("us", "UTC"))
    names = ("bucket", "tenant_no", *rollup.dimensions, "kafka_partition")
    keys = {name: bucket if name == "bucket" else events.column(name) for name in names}
    codes, first = group(list(keys.values()))
    order = pa.array(first)
    folded = {name: pc.take(column, order) for name, column in keys.items()}
    by_group = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[by_group], np.arange(len(first)))
    for name in rollup.measures:
        values = np.asarray(_measure(events, name), dtype=np.int64)
        folded[name] = pa.array(np.add.reduceat(values[by_group], starts) if len(first) else values)
    # Sorted, so that two workers that meet on rows take their locks in one order.
    return pa.table(folded).sort_by([(name, "ascending") for name in names])


def _measure(events: pa.Table, name: str) -> pa.Array:
    derive = _DERIVED.get(name)
    return derive(events) if derive else events.column(name)


def group(columns: list[pa.ChunkedArray | pa.Array]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Groups equal rows: (each row's group number, each group's first row)."""
    codes = np.zeros(len(columns[0]), dtype=np.int64)
    space = 1
    for column in columns:
        array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        encoded = array.dictionary_encode()
        size = max(len(encoded.dictionary), 1)
        if space * size > _KEY_SPACE_MAX:
            codes, space = np.unique(codes, return_inverse=True)[1].astype(np.int64), len(codes)
        codes = codes * size + np.asarray(encoded.indices, dtype=np.int64)
        space *= size
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return inverse.astype(np.int64), first.astype(np.int64)


def runs(events: pa.Table) -> pa.Table:
    """Rows of `run_base`: one per (tenant, run, partition) of the flush; the agent is that of its earliest call."""
    named = events.filter(pc.not_equal(events.column("run_id"), ""))
    named = named.sort_by([("occurred_at", "ascending")])
    keys = {name: named.column(name) for name in ("tenant_no", "run_id", "kafka_partition")}
    codes, first = group(list(keys.values()))
    order = pa.array(first)
    by_group = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[by_group], np.arange(len(first)))
    occurred = np.asarray(named.column("occurred_at").cast(pa.int64()), dtype=np.int64)[by_group]
    if not len(first):
        starts = starts.astype(np.int64)

    def reduced(ufunc: np.ufunc, values: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.asarray(ufunc.reduceat(values, starts)) if len(first) else values

    def summed(column: pa.Array) -> pa.Array:
        return pa.array(reduced(np.add, np.asarray(column, dtype=np.int64)[by_group]))

    at = pa.timestamp("us", "UTC")
    columns = {name: pc.take(column, order) for name, column in keys.items()}
    columns["agent_id"] = pc.take(named.column("agent_id"), order)
    columns["started_at"] = pa.array(reduced(np.minimum, occurred)).cast(at)
    columns["ended_at"] = pa.array(reduced(np.maximum, occurred)).cast(at)
    columns["calls"] = summed(_ones(named))
    columns["unpriced_events"] = summed(_DERIVED["unpriced_events"](named))
    columns["billed_pico_usd"] = summed(named.column("billed_pico_usd"))
    return pa.table(columns).sort_by([(name, "ascending") for name in keys])
