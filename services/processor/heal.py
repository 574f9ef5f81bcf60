"""What a price that came later changes: unpriced rows → adjustments, and what they add to each rollup. Pure.

Raw rows are immutable; a heal stands beside them and in the rollups' `adjustment_pico_usd`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pricing.columns import PricedColumns
from pricing.entries import PriceBook
from pricing.money import PriceOverflowError, UsageCountError
from services.contracts.dimensions import SUM_ROLLUPS
from services.contracts.rollups import LEVEL_SECONDS, Rollup
from services.processor.price import price_table_rows

# Heals have rollup rows of their own, told from those of the partitions; the views sum them away like any partition's.
HEAL_PARTITION: Final = -1
_CHANGED: Final = (
    "unpriced_events", "adjustment_pico_usd", "wasted_pico_usd", "response_cache_saved_pico_usd",
    "prompt_cache_saved_pico_usd",
)  # fmt: skip
HEALED_ROLLUPS: Final[tuple[Rollup, ...]] = tuple(
    replace(rollup, measures=tuple(name for name in rollup.measures if name in _CHANGED)) for rollup in SUM_ROLLUPS
)
"""The rollups that hold money or count what is unpriced, with only the measures a heal adds to."""
ADJUSTMENT_COLUMNS: Final = (
    "tenant_no", "event_key", "occurred_at", "delta_pico_usd", "heals_unpriced", "price_entry",
    "price_book_version", "reason", "response_cache_saved_pico_usd", "prompt_cache_saved_pico_usd",
)  # fmt: skip
HEALED_RUN_COLUMNS: Final = (
    "tenant_no", "run_id", "kafka_partition", "agent_id", "started_at", "ended_at", "calls", "unpriced_events",
    "billed_pico_usd", "adjustment_pico_usd",
)  # fmt: skip
_REASON: Final = "unpriced when it came"
_SUM_SAFE: Final = float(1 << 62)
_MINUTE_US: Final = 60_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Healing:
    """What a chunk of unpriced rows turns into. `left` are the rows the book has no price for either; a row in neither
    list is to be asked about again (its cost did not fit in with the others')."""

    healed: NDArray[np.int64]
    left: NDArray[np.int64]
    adjustments: pa.Table
    rollups: Mapping[str, pa.Table]
    runs: pa.Table
    # Start of each minute touched, epoch microseconds, ascending.
    minutes: tuple[int, ...]
    delta_pico_usd: int


def heal(rows: pa.Table, book: PriceBook) -> Healing:
    """Prices the rows of one chunk, storage columns as `usage_event` has them and `tenant_id`, with `book`.

    Never raises for what a row says: one that can't be priced, whatever the reason, is left as it is.
    """
    priceable, priced = _priced(rows, book)
    good = np.flatnonzero(~priced.unpriced)
    lacking = np.ones(len(rows), dtype=bool)
    lacking[priceable[good]] = False
    # Sums are int64: what may not fit waits for the next chunk.
    dearest = np.maximum(priced.cost_pico_usd, priced.response_cache_saved_pico_usd)[good].astype(np.float64)
    good = good[(np.cumsum(dearest) <= _SUM_SAFE) | (np.arange(len(good)) == 0)]
    table = _changes(_of(rows, priceable[good]), priced, good, book)
    occurred = np.asarray(table.column("occurred_at").cast(pa.int64()), dtype=np.int64)
    return Healing(
        healed=priceable[good],
        left=np.flatnonzero(lacking),
        # Neighbours in the indexes side by side.
        adjustments=table.select(ADJUSTMENT_COLUMNS).sort_by([("tenant_no", "ascending"), ("event_key", "ascending")]),
        rollups={rollup.base_table: _rollup_rows(table, occurred, rollup) for rollup in HEALED_ROLLUPS},
        runs=_run_rows(table),
        minutes=tuple(sorted(pc.unique(pa.array(occurred // _MINUTE_US * _MINUTE_US)).to_pylist())),
        delta_pico_usd=int(pc.sum(table.column("delta_pico_usd")).as_py() or 0),
    )


def _of(rows: pa.Table, numbers: NDArray[np.int64]) -> pa.Table:
    """These rows, given by ascending numbers; mostly all."""
    return rows if len(numbers) == len(rows) else rows.take(pa.array(numbers))


def _priced(rows: pa.Table, book: PriceBook) -> tuple[NDArray[np.int64], PricedColumns]:
    """The rows whose cost is within bounds, and their prices."""
    kept = np.arange(len(rows), dtype=np.int64)
    while True:
        table = _of(rows, kept)
        columns = {name: table.column(name) for name in table.column_names}
        try:
            return kept, price_table_rows(columns, _units(table.column("units").to_pylist()), book)
        except (PriceOverflowError, UsageCountError) as error:
            if not error.rows:
                raise AssertionError(f"an error that names no row: {error}") from error
            kept = np.delete(kept, list(error.rows))


def _units(texts: Sequence[str | None]) -> dict[int, dict[str, int]]:
    return {row: json.loads(text) for row, text in enumerate(texts) if text}


def _changes(rows: pa.Table, priced: PricedColumns, good: np.ndarray, book: PriceBook) -> pa.Table:
    """The healed rows with what is added for each; columns by the names of the measures and of the adjustments."""
    count, cost = len(rows), pa.array(priced.cost_pico_usd[good])
    wasted = pc.or_(pc.not_equal(rows.column("status"), "ok"), rows.column("superseded"))
    columns = {name: rows.column(name) for name in rows.column_names} | {
        "delta_pico_usd": cost,
        "adjustment_pico_usd": cost,
        "unpriced_events": pa.array(np.full(count, -1, dtype=np.int64)),
        "wasted_pico_usd": pc.if_else(wasted, cost, 0),
        "response_cache_saved_pico_usd": pa.array(priced.response_cache_saved_pico_usd[good]),
        "prompt_cache_saved_pico_usd": pa.array(priced.prompt_cache_saved_pico_usd[good]),
        "heals_unpriced": pa.repeat(True, count),
        "price_entry": pc.take(pa.array(priced.entry_ids, pa.string()), pa.array(priced.entry_codes[good])),
        "price_book_version": pa.repeat(book.version, count),
        "reason": pa.repeat(_REASON, count),
    }
    return pa.table(columns)


def _rollup_rows(table: pa.Table, occurred_us: np.ndarray, rollup: Rollup) -> pa.Table:
    width = LEVEL_SECONDS[rollup.base_level] * 1_000_000
    bucket = pa.array(occurred_us // width * width).cast(pa.timestamp("us", "UTC"))
    keys = ("bucket", "tenant_no", *rollup.dimensions)
    summed = _summed(table.append_column("bucket", bucket), keys, rollup.measures)
    partitions = pa.array(np.full(len(summed), HEAL_PARTITION, dtype=np.int16))
    return summed.append_column("kafka_partition", partitions)


def _run_rows(table: pa.Table) -> pa.Table:
    """What is added to rows of `run_base`; these are the flushes' own, because a run's row also says whose it is. No
    calls, no agent: a row that is not there must not come to be."""
    named = table.filter(pc.not_equal(table.column("run_id"), ""))
    summed = _summed(named, ("tenant_no", "run_id", "kafka_partition"), ("unpriced_events", "adjustment_pico_usd"))
    none = pa.array(np.zeros(len(summed), dtype=np.int64))
    at = none.cast(pa.timestamp("us", "UTC"))
    beside = {"agent_id": pa.repeat("", len(summed)), "started_at": at, "ended_at": at, "calls": none,
              "billed_pico_usd": none}  # fmt: skip
    return pa.table({name: summed.column(name) for name in summed.column_names} | beside)


def _summed(table: pa.Table, keys: Sequence[str], measures: Sequence[str]) -> pa.Table:
    grouped = table.group_by(list(keys), use_threads=False).aggregate([(name, "sum") for name in measures])
    return pa.table(
        {name: grouped.column(name) for name in keys} | {name: grouped.column(f"{name}_sum") for name in measures}
    )
