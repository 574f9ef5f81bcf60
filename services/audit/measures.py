"""What is compared for each rollup: the measure, what the raw events say, what the rollup says. SQL text only.

Written apart from the processor's fold and the query service's expressions: an audit that shared them would repeat
their mistakes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pricing.usage import COMPLETION_CLASSES, PROMPT_CLASSES, USAGE_CLASSES
from services.contracts.limits import LATE_SECONDS
from services.contracts.rollups import FAMILIES, LATENCY, LATENCY_BUCKET_MAX, UNITS, USAGE, Rollup, latency_bound_ms

# Latencies are whole milliseconds: one is past bound(b) exactly when it reaches floor(bound(b)) + 1.
_THRESHOLDS: Final = ",".join(str(int(latency_bound_ms(bucket)) + 1) for bucket in range(LATENCY_BUCKET_MAX))
LATENCY_BUCKET_SQL: Final = f"width_bucket(e.latency_ms, '{{{_THRESHOLDS}}}'::bigint[])"
EVENT_ROLLUPS: Final[tuple[Rollup, ...]] = tuple(rollup for rollup in FAMILIES if rollup != UNITS)
_HEALED: Final = "a.healed IS TRUE"
_DELTA: Final = "coalesce(a.delta_pico_usd, 0)"

RAW_MEASURES: Final[dict[str, str]] = {
    "calls": "count(*)",
    "requests": "count(*) FILTER (WHERE e.attempt = 1)",
    "errors": "count(*) FILTER (WHERE e.status <> 'ok')",
    "unpriced_events": f"count(*) FILTER (WHERE e.cost_pico_usd IS NULL AND NOT {_HEALED})",
    "late_events": f"count(*) FILTER (WHERE e.received_at - e.occurred_at > INTERVAL '{LATE_SECONDS} seconds')",
    "retry_count": "sum(e.retry_count)",
    "cache_hits": "count(*) FILTER (WHERE e.cache_hit)",
    "latency_sum_ms": "coalesce(sum(e.latency_ms), 0)",
    "latency_count": "count(e.latency_ms)",
    **{name: f"sum(e.{name})" for name in USAGE_CLASSES},
    "prompt_tokens": f"sum({' + '.join(f'e.{name}' for name in PROMPT_CLASSES)})",
    "completion_tokens": f"sum({' + '.join(f'e.{name}' for name in COMPLETION_CLASSES)})",
    "billed_pico_usd": "coalesce(sum(e.cost_pico_usd), 0)",
    "adjustment_pico_usd": f"sum({_DELTA})",
    "wasted_pico_usd": f"coalesce(sum(coalesce(e.cost_pico_usd, 0) + {_DELTA}) "
    "FILTER (WHERE e.status <> 'ok' OR e.superseded), 0)",
    "response_cache_saved_pico_usd": "sum(e.response_cache_saved_pico_usd + coalesce(a.response_saved, 0))",
    "prompt_cache_saved_pico_usd": "sum(e.prompt_cache_saved_pico_usd + coalesce(a.prompt_saved, 0))",
}
"""Each measure as an aggregate over `usage_event AS e` left-joined with its adjustments `AS a` (see `adjusted`)."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure of a bucket and tenant. `raw` aggregates `hashed` raw events, `rollup` rows of the rollup's view."""

    name: str
    raw: str
    rollup: str


def adjusted(where: str) -> str:
    """The adjustments of a range, one row an event; `where` is a condition on occurred_at."""
    return (
        "SELECT tenant_no, event_key, occurred_at, sum(delta_pico_usd) AS delta_pico_usd, "
        "bool_or(heals_unpriced) AS healed, sum(response_cache_saved_pico_usd) AS response_saved, "
        f"sum(prompt_cache_saved_pico_usd) AS prompt_saved FROM cost_adjustment WHERE {where} GROUP BY 1, 2, 3"
    )


def hashed(where: str) -> str:
    """Raw events of a range with each row's dimensions, by rollup, as one number: `hash_usage` and so on."""
    hashes = ", ".join(f"{dimension_hash(rollup, 'e.')} AS hash_{rollup.name}" for rollup in EVENT_ROLLUPS)
    # OFFSET 0: computed once a row, however often it is used.
    return f"SELECT e.*, {hashes} FROM usage_event AS e WHERE {where} OFFSET 0"


def dimension_hash(rollup: Rollup, prefix: str) -> str:
    """A number for a row's dimensions: calls and money that moved from one to another change the weighted sum."""
    names = [LATENCY_BUCKET_SQL if prefix and name == "latency_bucket" else f"{prefix}{name}"
             for name in rollup.dimensions]  # fmt: skip
    return f"hashtext(concat_ws('|', {', '.join(names)}))"


def compared(rollup: Rollup) -> tuple[Compared, ...]:
    """Everything that is compared for a rollup of raw events; the rollup of units has `compared_units`."""
    if rollup == LATENCY:
        return (
            Compared("calls", "count(e.latency_ms)", "sum(calls)"),
            Compared(
                "calls by dimension",
                "coalesce(sum(e.hash_latency::bigint) FILTER (WHERE e.latency_ms IS NOT NULL), 0)",
                f"sum({dimension_hash(rollup, '')}::numeric * calls)",
            ),
        )
    return (
        *(Compared(name, RAW_MEASURES[name], f"sum({name})") for name in rollup.measures),
        Compared(
            "calls by dimension",
            f"sum(e.hash_{rollup.name}::bigint)",
            f"sum({dimension_hash(rollup, '')}::numeric * calls)",
        ),
        Compared(
            "cost by dimension",
            f"coalesce(sum(e.hash_{rollup.name}::numeric * e.cost_pico_usd), 0)",
            f"sum({dimension_hash(rollup, '')}::numeric * billed_pico_usd)",
        ),
        *(_priced() if rollup == USAGE else ()),
    )


def _priced() -> tuple[Compared, ...]:
    raw = f"count(*) FILTER (WHERE e.cost_pico_usd IS NOT NULL OR {_HEALED})"
    return (Compared("priced", raw, "sum(calls - unpriced_events)"),)


def compared_units() -> tuple[Compared, ...]:
    """The same for units; `raw` aggregates rows of (event, unit, quantity)."""
    raw = "hashtext(concat_ws('|', e.feature, e.provider, e.model, u.unit))"
    return (
        Compared("quantity", "sum(u.quantity)", "sum(quantity)"),
        Compared(
            "quantity by dimension",
            f"sum({raw}::numeric * u.quantity)",
            f"sum({dimension_hash(UNITS, '')}::numeric * quantity)",
        ),
    )
