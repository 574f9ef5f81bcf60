"""What can be asked for: dimensions, quantities and measures, declared once, and which rollup answers them.

A *quantity* adds up and lies in a column of a rollup; a *measure* is what the API calls it, made of quantities.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from pricing.usage import COMPLETION_CLASSES, PROMPT_CLASSES, USAGE_CLASSES
from services.contracts.rollups import CHANNEL, CUSTOMER, LATENCY, NARROWED, REGION, USAGE, Rollup

Unit = Literal["usd", "count", "ms"]
Kind = Literal["sum", "ratio", "percentile"]

TENANT_DIMENSION: Final = "tenant_id"
DIMENSIONS: Final[tuple[str, ...]] = (
    TENANT_DIMENSION,
    "feature",
    "agent_id",
    "customer_id",
    "user_id",
    "channel",
    "provider",
    "model",
    "tier",
    "service_tier",
    "region",
    "status",
    "prompt_template_id",
)
"""Names in the API; but for the tenant also column names in rollups and raw events. '' is what the event left out."""

SUM_ROLLUPS: Final[tuple[Rollup, ...]] = (CHANNEL, REGION, USAGE, CUSTOMER)
"""Rollups that sum calls and money, as the processor writes them."""
READ_ROLLUPS: Final[tuple[Rollup, ...]] = (*SUM_ROLLUPS, *NARROWED)
"""Those that answer; the planner estimates which is cheapest."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """Something that adds up. `columns` are alternatives: a rollup that has all columns of one holds the quantity."""

    name: str
    columns: tuple[tuple[str, ...], ...]

    def columns_in(self, rollup: Rollup) -> tuple[str, ...] | None:
        """The columns of `rollup` whose sum it is, or None where the rollup does not hold it."""
        return next((columns for columns in self.columns if set(columns) <= set(rollup.measures)), None)


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure of an answer. A sum adds its quantities, a ratio divides the first by the second (none for 0 / 0)."""

    name: str
    unit: Unit
    kind: Kind
    quantities: tuple[str, ...]
    # For percentiles: the share of calls at or below, 0 to 1.
    share: float = 0.0


def _quantities() -> dict[str, Quantity]:
    columns = {name: (name,) for rollup in SUM_ROLLUPS for name in rollup.measures}
    found = {name: Quantity(name, (alone,)) for name, alone in columns.items()}
    found["prompt_tokens"] = Quantity("prompt_tokens", (("prompt_tokens",), PROMPT_CLASSES))
    found["completion_tokens"] = Quantity("completion_tokens", (("completion_tokens",), COMPLETION_CLASSES))
    return found


QUANTITIES: Final[dict[str, Quantity]] = _quantities()

_MEASURES: Final[tuple[Measure, ...]] = (
    Measure("cost_usd", "usd", "sum", ("billed_pico_usd", "adjustment_pico_usd")),
    Measure("calls", "count", "sum", ("calls",)),
    Measure("requests", "count", "sum", ("requests",)),
    Measure("prompt_tokens", "count", "sum", ("prompt_tokens",)),
    Measure("completion_tokens", "count", "sum", ("completion_tokens",)),
    Measure("total_tokens", "count", "sum", ("prompt_tokens", "completion_tokens")),
    *(Measure(name, "count", "sum", (name,)) for name in USAGE_CLASSES),
    Measure("errors", "count", "sum", ("errors",)),
    Measure("retry_count", "count", "sum", ("retry_count",)),
    Measure("wasted_cost_usd", "usd", "sum", ("wasted_pico_usd",)),
    Measure("cache_hits", "count", "sum", ("cache_hits",)),
    Measure("response_cache_saved_usd", "usd", "sum", ("response_cache_saved_pico_usd",)),
    Measure("prompt_cache_saved_usd", "usd", "sum", ("prompt_cache_saved_pico_usd",)),
    Measure("unpriced_events", "count", "sum", ("unpriced_events",)),
    Measure("late_events", "count", "sum", ("late_events",)),
    Measure("latency_ms_avg", "ms", "ratio", ("latency_sum_ms", "latency_count")),
    Measure("latency_ms_p50", "ms", "percentile", ("calls",), 0.50),
    Measure("latency_ms_p95", "ms", "percentile", ("calls",), 0.95),
    Measure("latency_ms_p99", "ms", "percentile", ("calls",), 0.99),
)
MEASURES: Final[dict[str, Measure]] = {measure.name: measure for measure in _MEASURES}
DEFAULT_MEASURES: Final[tuple[str, ...]] = ("cost_usd", "calls", "prompt_tokens", "completion_tokens", "total_tokens")

# Totals of every answer say how much of it is unpriced or late.
TOTAL_QUANTITIES: Final[tuple[str, ...]] = ("unpriced_events", "late_events")


def is_answered(rollup: Rollup, dimensions: Iterable[str], quantities: Iterable[str]) -> bool:
    """Whether `rollup` alone gives these quantities by these dimensions, exactly."""
    known = {TENANT_DIMENSION, *rollup.dimensions}
    return known >= set(dimensions) and all(QUANTITIES[name].columns_in(rollup) is not None for name in quantities)


def answering_rollups(dimensions: Iterable[str], quantities: Iterable[str]) -> tuple[Rollup, ...]:
    """The rollups that answer; none where only raw events do."""
    wanted, held = tuple(dimensions), tuple(quantities)
    return tuple(rollup for rollup in READ_ROLLUPS if is_answered(rollup, wanted, held))


def is_latency_answered(dimensions: Iterable[str]) -> bool:
    """Whether the latency histogram gives percentiles by these dimensions."""
    return {TENANT_DIMENSION, *LATENCY.dimensions} >= set(dimensions)
