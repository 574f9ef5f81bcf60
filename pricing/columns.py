"""The price of many events at once: the same answers as kernel.price_event, a column at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pricing.entries import EPOCH_MINUTE_OF_WEEK, MINUTE_US, MINUTES_OF_WEEK, PriceBook
from pricing.kernel import Bill, bill_plan, check_counts
from pricing.money import PriceOverflowError, UsageCountError
from pricing.table import TIER_CODES, Bools, Int64s, PriceKey, PriceTable, price_table
from pricing.usage import COUNT_MAX, PROMPT_CLASSES, USAGE_CLASS_INDEX

_SAFE = float(2**61)
"""Amounts estimated below this are computed in int64; above it a float estimate can't promise that they fit."""
_NO_BILL = Bill(0, 0, "no price")


@dataclass(frozen=True, slots=True, eq=False)
class UsageColumns:
    """A batch of n events. Arrays have n elements; a class that is absent from `counts` is zero everywhere.

    `key_codes` index into `keys`, the distinct (provider, model, service tier) of the batch; "" is the standard tier.
    `occurred_at_us` are epoch microseconds (UTC). `units` holds, by row, the few events that have any.
    """

    n: int
    counts: Mapping[str, Int64s]
    key_codes: NDArray[np.integer]
    keys: Sequence[PriceKey]
    occurred_at_us: Int64s
    cache_hit: Bools
    units: Mapping[int, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class PricedColumns:
    """Prices of a batch, row by row. Amounts are pico-USD and 0 where `unpriced`, which must not be read as free.

    `entry_codes` index into `entry_ids` and `tier_codes` into `tiers`; "" stands for none.
    """

    cost_pico_usd: Int64s
    unpriced: Bools
    prompt_cache_saved_pico_usd: Int64s
    response_cache_saved_pico_usd: Int64s
    entry_codes: Int64s
    entry_ids: tuple[str, ...]
    tier_codes: Int64s
    tiers: tuple[str, ...]


def price_columns(book: PriceBook, columns: UsageColumns) -> PricedColumns:
    """Price a batch, each row as price_event would.

    Raises UsageCountError or PriceOverflowError with the offending `rows` (refuse those and price the rest again),
    ValueError where the columns don't fit together.
    """
    _check_shapes(columns)
    counts = _used_counts(columns)
    table = price_table(book, tuple(columns.keys))
    if columns.n == 0:
        return _nothing(table)
    slots = _slots(table, columns)
    rows = _plan_rows(table, slots, counts, columns.n)
    cost, saved, unpriced = _bill(table, rows, counts, columns.n)
    unpriced |= np.array([plan is None for plan in table.plans])[slots]
    _bill_exactly(table, columns, slots, _risky_rows(table, rows, counts, columns), (cost, saved, unpriced))
    cost[unpriced] = 0
    saved[unpriced | columns.cache_hit] = 0
    return PricedColumns(
        cost_pico_usd=np.where(columns.cache_hit, 0, cost),
        unpriced=unpriced,
        prompt_cache_saved_pico_usd=saved,
        response_cache_saved_pico_usd=np.where(columns.cache_hit, cost, 0),
        entry_codes=table.entry_codes[slots],
        entry_ids=table.entry_ids,
        tier_codes=table.tier_codes[slots],
        tiers=TIER_CODES,
    )


def _check_shapes(columns: UsageColumns) -> None:
    arrays = {"key_codes": columns.key_codes, "occurred_at_us": columns.occurred_at_us, "cache_hit": columns.cache_hit}
    for name, array in [*arrays.items(), *columns.counts.items()]:
        if array.shape != (columns.n,):
            raise ValueError(f"{name} has shape {array.shape}, not ({columns.n},)")
    for name, array in columns.counts.items():
        if name not in USAGE_CLASS_INDEX:
            raise UsageCountError(f"no usage class {name!r}")
        if array.dtype != np.int64:
            raise ValueError(f"{name} is {array.dtype}, not int64")
    if columns.n and (columns.key_codes.min() < 0 or columns.key_codes.max() >= len(columns.keys)):
        raise ValueError(f"key_codes go outside the {len(columns.keys)} keys")
    if any(not 0 <= row < columns.n for row in columns.units):
        raise ValueError("units name a row outside the batch")


def _used_counts(columns: UsageColumns) -> dict[int, Int64s]:
    """The columns that hold anything, by class index, checked: 0 <= count <= COUNT_MAX."""
    used: dict[int, Int64s] = {}
    for name, array in columns.counts.items():
        least, most = (int(array.min()), int(array.max())) if columns.n else (0, 0)
        if least < 0:
            raise UsageCountError(f"{name} is negative", _row_numbers(array < 0))
        if most > COUNT_MAX:
            raise PriceOverflowError(f"{name} is more than {COUNT_MAX} in one event", _row_numbers(array > COUNT_MAX))
        if most:
            used[USAGE_CLASS_INDEX[name]] = array
    return used


def _row_numbers(mask: Bools) -> tuple[int, ...]:
    return tuple(int(row) for row in np.flatnonzero(mask))


def _slots(table: PriceTable, columns: UsageColumns) -> Int64s:
    """Each row's slot: its key's entry in force when it happened, and the window of the week in it."""
    moments = columns.occurred_at_us
    first, last = np.searchsorted(table.boundaries_us, [moments.min(), moments.max()], side="right")
    if first == last:  # a batch mostly lies between two boundaries
        slots = table.slots[:, first][columns.key_codes]
    else:
        slots = table.slots[columns.key_codes, np.searchsorted(table.boundaries_us, moments, side="right")]
    if table.week_boundaries.size:
        minutes = (moments // MINUTE_US + EPOCH_MINUTE_OF_WEEK) % MINUTES_OF_WEEK
        slots = table.week_slots[slots, np.searchsorted(table.week_boundaries, minutes, side="right")]
    return np.asarray(slots, dtype=np.int64)


def _plan_rows(table: PriceTable, slots: Int64s, counts: Mapping[int, Int64s], n: int) -> Int64s:
    """Each row's plan row: its slot's first, and one further for each threshold its prompt is above."""
    rows = table.plan_rows[slots]
    if table.thresholds.shape[1]:
        prompt_tokens = np.zeros(n, dtype=np.int64)
        for name in PROMPT_CLASSES:
            if USAGE_CLASS_INDEX[name] in counts:
                prompt_tokens += counts[USAGE_CLASS_INDEX[name]]
        for thresholds in table.thresholds.T:
            rows += prompt_tokens > thresholds[slots]
    return rows


def _bill(table: PriceTable, rows: Int64s, counts: Mapping[int, Int64s], n: int) -> tuple[Int64s, Int64s, Bools]:
    """Cost, prompt cache saving, and whether a class had no price; without units, and wrapped where it overflows."""
    cost, saved, unpriced = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.bool_)
    cache_read, uncached = USAGE_CLASS_INDEX["cache_read"], USAGE_CLASS_INDEX["input_uncached"]
    for index, count in counts.items():
        prices, missing = table.prices[index], table.missing[index]
        cost += count * prices[rows]
        if missing.any():
            unpriced |= missing[rows] & (count > 0)
        if index == cache_read:
            per_token = np.where(table.missing[uncached], 0, table.prices[uncached] - prices)
            saved = count * per_token[rows]
    if ((table.numerators != 1) | (table.denominators != 1)).any():
        numerators, denominators = table.numerators[rows], table.denominators[rows]
        cost = _multiplied(cost, numerators, denominators)
        saved = _multiplied(saved, numerators, denominators)
    return cost, saved, unpriced


def _multiplied(amounts: Int64s, numerators: Int64s, denominators: Int64s) -> Int64s:
    """amount * numerator / denominator, half to even."""
    quotients, rests = np.divmod(amounts * numerators, denominators)
    twice = 2 * rests
    up = (twice > denominators) | ((twice == denominators) & (quotients % 2 == 1))
    return np.asarray(quotients + up, dtype=np.int64)


def _risky_rows(table: PriceTable, rows: Int64s, counts: Mapping[int, Int64s], columns: UsageColumns) -> list[int]:
    """Rows to bill in Python's integers: those with units, and those whose amount may not fit int64."""
    weights = table.prices * np.maximum(table.numerators, 1).astype(np.float64)
    dearest = np.maximum(weights, weights[USAGE_CLASS_INDEX["input_uncached"]])
    bound = sum((float(count.max()) * dearest[index] for index, count in counts.items()), np.zeros(weights.shape[1]))
    risky = set(columns.units)
    if bound.max(initial=0.0) >= _SAFE:
        estimate = np.zeros(columns.n)
        for index, count in counts.items():
            estimate += count * dearest[index][rows]
        risky.update(_row_numbers(estimate >= _SAFE))
    return sorted(risky)


def _bill_exactly(
    table: PriceTable,
    columns: UsageColumns,
    slots: Int64s,
    rows: Sequence[int],
    out: tuple[Int64s, Int64s, Bools],
) -> None:
    """Bill the given rows one by one into `out` (cost, saved, unpriced)."""
    cost, saved, unpriced = out
    refused: list[int] = []
    wrong: list[int] = []
    for row in rows:
        plan = table.plans[slots[row]]
        usage = {name: int(array[row]) for name, array in columns.counts.items() if array[row]}
        units = columns.units.get(row, {})
        try:
            check_counts(usage, units)
            bill = _NO_BILL if plan is None else bill_plan(plan, usage, units)
        except PriceOverflowError:
            refused.append(row)
        except UsageCountError:
            wrong.append(row)
        else:
            cost[row], saved[row] = bill.cost_pico_usd, bill.prompt_cache_saved_pico_usd
            unpriced[row] = bool(bill.unpriced_reason)
    if wrong:
        raise UsageCountError("a unit's count is negative", tuple(wrong))
    if refused:
        raise PriceOverflowError("a unit's count or an event's cost is beyond the limit", tuple(refused))


def _nothing(table: PriceTable) -> PricedColumns:
    empty = np.zeros(0, dtype=np.int64)
    return PricedColumns(empty, empty.astype(np.bool_), empty, empty, empty, table.entry_ids, empty, TIER_CODES)
