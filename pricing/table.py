"""Part of a price book as numpy arrays: for some keys, which prices hold when and from how many prompt tokens on.

A *slot* is one dated entry of one key, or one window of the week in it; a *plan row* is one band of a slot. Slot 0 is
"no price at all".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pricing.entries import TIERS, ModelPrices, Plan, PriceBook
from pricing.usage import USAGE_CLASSES

Int64s: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]
PriceKey: TypeAlias = tuple[str, str, str] | tuple[str, str, str, str, str]
"""What decides a price besides time and counts: (provider, model, service tier), and where the book makes a difference
by them region and tenant."""

TIER_CODES: tuple[str, ...] = ("", *TIERS)
_NEVER = 2**63 - 1


@dataclass(frozen=True, slots=True, eq=False)
class PriceTable:
    """Lookup arrays for a fixed list of keys. Shapes: K keys, B and H boundaries, S slots, T thresholds, P rows."""

    boundaries_us: Int64s
    """(B,) moments at which a key's entry begins or ends, ascending."""
    slots: Int64s
    """(K, B + 1) slot of each key in each interval between boundaries."""
    week_boundaries: Int64s
    """(H,) minutes of the week at which a window begins or ends, ascending."""
    week_slots: Int64s
    """(S, H + 1) the slot that holds instead of a slot in each interval of the week; mostly itself."""
    plan_rows: Int64s
    """(S,) first plan row of each slot."""
    thresholds: Int64s
    """(S, T) prompt tokens above which the next plan row holds; int64's maximum where there is none."""
    entry_codes: Int64s
    """(S,) index into entry_ids."""
    tier_codes: Int64s
    """(S,) index into TIER_CODES."""
    prices: Int64s
    """(10, P) pico-USD per token by class, 0 where there is no price."""
    missing: Bools
    """(10, P) true where a class has no price."""
    numerators: Int64s
    """(P,) multiplier's numerator."""
    denominators: Int64s
    """(P,) multiplier's denominator."""
    plans: tuple[Plan | None, ...]
    """By slot; None where there is no price at all."""
    entry_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Slot:
    plan: Plan | None
    entry_id: str
    tier: str


@lru_cache(maxsize=64)
def price_table(book: PriceBook, keys: tuple[PriceKey, ...]) -> PriceTable:
    """Compile the keys' entries. Cached: a stream asks for the same few keys again and again."""
    models = [book.find(key[0], key[1], key[4] if len(key) == 5 else "") for key in keys]
    boundaries = sorted({moment for model in models if model for moment in _moments(model)})
    slots, codes = _place_slots(models, [(key[2], key[3] if len(key) == 5 else "") for key in keys], boundaries)
    week_boundaries, week_slots = _place_windows(slots)
    widest = max((len(slot.plan.bands) for slot in slots if slot.plan), default=1)
    thresholds = np.full((len(slots), widest - 1), _NEVER, dtype=np.int64)
    for position, slot in enumerate(slots):
        if slot.plan:
            above = [band.above_prompt_tokens for band in slot.plan.bands[1:]]
            thresholds[position, : len(above)] = above
    entry_ids = tuple(dict.fromkeys(["", *(slot.entry_id for slot in slots)]))
    entry_code = {entry_id: code for code, entry_id in enumerate(entry_ids)}
    bands = [len(slot.plan.bands) if slot.plan else 1 for slot in slots]
    prices, missing = _price_arrays(slots)
    multipliers = [slot.plan or Plan((), {}) for slot in slots]
    return PriceTable(
        boundaries_us=np.array(boundaries, dtype=np.int64),
        slots=codes,
        week_boundaries=week_boundaries,
        week_slots=week_slots,
        plan_rows=np.concatenate([np.zeros(1, np.int64), np.cumsum(bands, dtype=np.int64)[:-1]]),
        thresholds=thresholds,
        entry_codes=np.array([entry_code[slot.entry_id] for slot in slots], dtype=np.int64),
        tier_codes=np.array([TIER_CODES.index(slot.tier) for slot in slots], dtype=np.int64),
        prices=prices,
        missing=missing,
        numerators=np.repeat(np.array([plan.numerator for plan in multipliers], dtype=np.int64), bands),
        denominators=np.repeat(np.array([plan.denominator for plan in multipliers], dtype=np.int64), bands),
        plans=tuple(slot.plan for slot in slots),
        entry_ids=entry_ids,
    )


def _moments(model: ModelPrices) -> set[int]:
    edges = {edge for entry in model.entries for edge in (entry.effective_from_us, entry.effective_until_us)}
    return edges - {_NEVER}


def _place_slots(
    models: Sequence[ModelPrices | None], tiers_and_regions: Sequence[tuple[str, str]], boundaries: Sequence[int]
) -> tuple[list[_Slot], Int64s]:
    """The slots, and the (K, B + 1) code of the slot that holds for each key between boundaries."""
    slots, codes = [_Slot(None, "", "")], np.zeros((len(models), len(boundaries) + 1), dtype=np.int64)
    known: dict[tuple[int, str], int] = {}
    for row, (model, tier_and_region) in enumerate(zip(models, tiers_and_regions, strict=True)):
        if model is None:
            continue
        for column, moment in enumerate([min([0, *boundaries]) - 1, *boundaries]):
            entry = model.entry_at(moment)
            identity = (row, entry.entry_id if entry else "")
            if identity not in known:
                known[identity] = len(slots)
                plan = entry.plan(*tier_and_region) if entry else None
                slots.append(_Slot(plan, identity[1], model.tier))
            codes[row, column] = known[identity]
    return slots, codes


def _place_windows(slots: list[_Slot]) -> tuple[Int64s, Int64s]:
    """Append a slot for each window; the boundaries of all windows, and each slot's stand-in between them."""
    dated = list(enumerate(slots))
    windows = [window for slot in slots if slot.plan for window in slot.plan.windows]
    boundaries = sorted({edge for window in windows for span in window.minutes for edge in span})
    stand_ins = [[position] * (len(boundaries) + 1) for position, _ in dated]
    for position, slot in dated:
        for window in reversed(slot.plan.windows if slot.plan else ()):  # the first that fits wins, so it comes last
            for column, minute in enumerate([-1, *boundaries]):
                if window.holds(minute):
                    stand_ins[position][column] = len(slots)
            slots.append(_Slot(window.plan, slot.entry_id, slot.tier))
    stand_ins += [[position] * (len(boundaries) + 1) for position in range(len(dated), len(slots))]
    return np.array(boundaries, dtype=np.int64), np.array(stand_ins, dtype=np.int64)


def _price_arrays(slots: Sequence[_Slot]) -> tuple[Int64s, Bools]:
    nothing: tuple[int | None, ...] = (None,) * len(USAGE_CLASSES)
    rows: list[tuple[int | None, ...]] = []
    for slot in slots:
        rows.extend([band.prices for band in slot.plan.bands] if slot.plan else [nothing])
    prices = np.array([[price or 0 for price in row] for row in rows], dtype=np.int64).T
    missing = np.array([[price is None for price in row] for row in rows], dtype=np.bool_).T
    return np.ascontiguousarray(prices), np.ascontiguousarray(missing)
