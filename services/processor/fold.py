"""Events → rollup rows: sums by key, exact in int64, for every family in `services.contracts.rollups`. Pure.

Folding is commutative and associative: however a stream is cut into flushes, the sums come out the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from services.contracts.rollups import (
    LATENCY,
    LATENCY_BUCKET_MAX,
    LATENCY_BUCKETS_PER_DOUBLING,
    LEVEL_SECONDS,
    ROLLUPS,
    UNITS,
    Rollup,
)
from services.processor.grouping import Codes, Groups, Int64s, encode, group

_MICROSECONDS = 1_000_000
_AT = pa.timestamp("us", "UTC")
# Sums are int64. A flush whose cost may not fit is refused rather than wrapped; it would hold millions of dollars.
_SUM_SAFE = float(1 << 62)
# (base table, bucket) → rows.
RowCounts: TypeAlias = Mapping[tuple[str, datetime], int]
_RUN_KEY = ("tenant_no", "run_id", "kafka_partition")


class FoldOverflowError(Exception):
    """The sums of one flush may not fit into int64."""


# Measures that are neither a count of rows nor columns of their own.
_DERIVED: Mapping[str, Callable[[pa.Table], pa.Array]] = {
    "requests": lambda t: pc.equal(t.column("attempt"), 1),
    "errors": lambda t: pc.not_equal(t.column("status"), "ok"),
    "unpriced_events": lambda t: t.column("unpriced"),
    "late_events": lambda t: t.column("late"),
    "cache_hits": lambda t: t.column("cache_hit"),
    "latency_sum_ms": lambda t: pc.fill_null(t.column("latency_ms"), 0),
    "latency_count": lambda t: pc.is_valid(t.column("latency_ms")),
}


@dataclass(slots=True)
class _Events:
    """A flush's columns as arrays of numbers, each made once for all families."""

    table: pa.Table
    _codes: dict[str, Codes] = field(default_factory=dict)
    _measures: dict[str, Int64s | None] = field(default_factory=dict)

    def codes(self, name: str) -> Codes:
        if name not in self._codes:
            self._codes[name] = encode(self.table.column(name))
        return self._codes[name]

    def measure(self, name: str) -> Int64s | None:
        """None where all are zero, which most measures are in most flushes."""
        if name not in self._measures:
            derive = _DERIVED.get(name)
            column = derive(self.table) if derive else self.table.column(name)
            values = np.asarray(column).astype(np.int64, copy=False)
            self._measures[name] = values if values.any() else None
        return self._measures[name]


@dataclass(frozen=True, slots=True)
class _Source:
    """What a family is folded from: rows of the events (None are all, one may come again), and columns beside them."""

    rows: Int64s | None = None
    beside: Mapping[str, pa.Array] = field(default_factory=dict)


def fold(events: pa.Table) -> dict[str, pa.Table]:
    """Rollup rows by `Rollup.base_table`: bucket, tenant_no, dimensions, kafka_partition, measures; sorted by key.

    `events` has the storage columns of `services.processor.price` and `tenant_no`. Raises FoldOverflowError.
    """
    _refuse_overflow(events)
    columns = _Events(_with_buckets(events))
    sources = {LATENCY: _measured, UNITS: _with_units}
    return {
        rollup.base_table: _fold(columns, rollup, sources.get(rollup, lambda _: _Source())(events))
        for rollup in ROLLUPS
    }


def _refuse_overflow(events: pa.Table) -> None:
    for name in ("billed_pico_usd", "response_cache_saved_pico_usd", "prompt_cache_saved_pico_usd"):
        if (pc.sum(events.column(name).cast(pa.float64(), safe=False)).as_py() or 0.0) > _SUM_SAFE:
            raise FoldOverflowError(f"{name} of one flush is above {_SUM_SAFE:.0f} pico-USD")


def _with_buckets(events: pa.Table) -> pa.Table:
    """With a column for each width of bucket, named as its level."""
    occurred = np.asarray(events.column("occurred_at").cast(pa.int64()), dtype=np.int64)
    for level in sorted({rollup.base_level for rollup in ROLLUPS}):
        width = LEVEL_SECONDS[level] * _MICROSECONDS
        events = events.append_column(level, pa.array(occurred // width * width).cast(_AT))
    return events


def _measured(events: pa.Table) -> _Source:
    """The events that say how long they took."""
    latency = events.column("latency_ms")
    rows = np.flatnonzero(np.asarray(pc.is_valid(latency)))
    return _Source(rows, {"latency_bucket": latency_buckets(latency.drop_null())})


def latency_buckets(latency_ms: pa.ChunkedArray) -> pa.Array:
    """The smallest bucket whose bound holds the latency; int16."""
    latency = np.maximum(np.asarray(latency_ms, dtype=np.float64), 1.0)
    bucket = np.ceil(np.log2(latency) * LATENCY_BUCKETS_PER_DOUBLING - 1e-9)
    return pa.array(np.clip(bucket, 0, LATENCY_BUCKET_MAX).astype(np.int16))


def _with_units(events: pa.Table) -> _Source:
    """One row per event and unit; most events have none."""
    rows, names, quantities = [], [], []
    for row in np.flatnonzero(np.asarray(pc.is_valid(events.column("units")))).tolist():
        for name, quantity in json.loads(events.column("units")[row].as_py()).items():
            rows.append(row)
            names.append(name)
            quantities.append(quantity)
    beside = {"unit": pa.array(names, pa.string()), "quantity": pa.array(quantities, pa.int64())}
    return _Source(np.array(rows, dtype=np.int64), beside)


def _fold(events: _Events, rollup: Rollup, source: _Source) -> pa.Table:
    """Rows of one family, sorted: two workers that meet on rows take their locks in one order."""
    names = ("bucket", "tenant_no", *rollup.dimensions, "kafka_partition")
    columns = {name: rollup.base_level if name == "bucket" else name for name in names}
    groups = group([_codes(events, column, source) for column in columns.values()])
    first = pa.array(groups.first)
    in_events = first if source.rows is None else pa.array(source.rows[groups.first])
    folded = {
        name: pc.take(source.beside[column], first)
        if column in source.beside
        else pc.take(events.table.column(column), in_events)
        for name, column in columns.items()
    }
    folded |= {name: pa.array(_summed(events, groups, name, source)) for name in rollup.measures}
    return pa.table(folded)


def _codes(events: _Events, name: str, source: _Source) -> Codes:
    return encode(source.beside[name]) if name in source.beside else events.codes(name).at(source.rows)


def _summed(events: _Events, groups: Groups, name: str, source: _Source) -> Int64s:
    if name == "calls":
        return groups.counts()
    # Billed is what the event cost when it came; later corrections stand apart.
    values = None if name == "adjustment_pico_usd" else _values(events, name, source)
    return np.zeros(len(groups), dtype=np.int64) if values is None else groups.sums(values)


def _values(events: _Events, name: str, source: _Source) -> Int64s | None:
    if name in source.beside:
        return np.asarray(source.beside[name], dtype=np.int64)
    values = events.measure(name)
    return values if values is None or source.rows is None else values[source.rows]


def row_counts(folded: Mapping[str, pa.Table]) -> RowCounts:
    """How many rows of each bucket these are, by base table."""
    return {
        (table, each["values"]): each["counts"]
        for table, rows in folded.items()
        for each in pc.value_counts(rows.column("bucket").combine_chunks()).to_pylist()
    }


def runs(events: pa.Table) -> pa.Table:
    """Rows of `run_base`, one per (tenant, run, partition) of the flush; the agent is that of its earliest call."""
    named = events.select([*_RUN_KEY, "agent_id", "occurred_at", "unpriced", "billed_pico_usd"])
    named = named.filter(pc.not_equal(events.column("run_id"), ""))
    # In order of time, so that a group's first row is its earliest call.
    named = named.take(pc.sort_indices(named.column("occurred_at")))
    groups = group([encode(named.column(name)) for name in _RUN_KEY])
    first = pa.array(groups.first)
    occurred, unpriced, billed = (
        np.asarray(named.column(name).cast(pa.int64()), dtype=np.int64)
        for name in ("occurred_at", "unpriced", "billed_pico_usd")
    )
    columns = {name: pc.take(named.column(name), first) for name in (*_RUN_KEY, "agent_id")}
    columns["started_at"] = pa.array(groups.least(occurred)).cast(_AT)
    columns["ended_at"] = pa.array(groups.greatest(occurred)).cast(_AT)
    columns["calls"] = pa.array(groups.counts())
    columns["unpriced_events"] = pa.array(groups.sums(unpriced))
    columns["billed_pico_usd"] = pa.array(groups.sums(billed))
    return pa.table(columns)
