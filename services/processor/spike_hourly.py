"""Rule `hour_over_usual`: this hour against its usual hour. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pricing.money import PICO_PER_USD
from services.processor.spike_baselines import Usual, usual_hour
from services.processor.spikes import Excess, HourTotals


@dataclass(frozen=True, slots=True)
class HourRule:
    """The thresholds, all of them."""

    times_usual: int = 3
    # How many of its own spreads an hour must lie above its usual hour.
    spreads_min: float = 4.5
    # An hour that costs less is nobody's problem, however unusual.
    floor_pico_usd: int = PICO_PER_USD
    calls_min: int = 20


HOUR_OVER_USUAL = HourRule()


def evaluate(observed: HourTotals, history: Sequence[HourTotals], rule: HourRule = HOUR_OVER_USUAL) -> Excess | None:
    """The excess of `observed` over its usual hour, or None."""
    if not reaches_floors(observed, rule):
        return None
    usual = usual_hour(observed.hour, history)
    return None if usual is None else hour_excess(observed, usual, rule)


def reaches_floors(observed: HourTotals, rule: HourRule = HOUR_OVER_USUAL) -> bool:
    """Whether it is worth asking what is usual."""
    return observed.measures.calls >= rule.calls_min and observed.measures.cost_pico_usd >= rule.floor_pico_usd


def hour_excess(observed: HourTotals, usual: Usual, rule: HourRule = HOUR_OVER_USUAL) -> Excess | None:
    """The same, where what is usual is known."""
    cost = observed.measures.cost_pico_usd
    if not reaches_floors(observed, rule) or cost < rule.times_usual * usual.cost_pico_usd:
        return None
    if math.log(cost / max(usual.cost_pico_usd, 1)) < rule.spreads_min * usual.spread:
        return None
    return Excess(observed, usual.cost_pico_usd, usual.basis)
