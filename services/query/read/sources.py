"""How each source says each thing in SQL: columns of the rollups, expressions over raw events. Pure text."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Final

from pricing.usage import COMPLETION_CLASSES, PROMPT_CLASSES, USAGE_CLASSES
from services.contracts.dimensions import QUANTITIES
from services.contracts.limits import LATE_SECONDS
from services.contracts.rollups import LATENCY_BUCKET_MAX, Rollup, latency_bound_ms

LATENCY_BUCKET: Final = "latency_bucket"

# Healing and corrections lie beside the raw rows; a raw row with what was adjusted is one row again.
RAW_FROM: Final = (
    "usage_event AS e LEFT JOIN LATERAL (SELECT sum(c.delta_pico_usd) AS delta_pico_usd, "
    "sum(c.response_cache_saved_pico_usd) AS response_cache_saved_pico_usd, "
    "sum(c.prompt_cache_saved_pico_usd) AS prompt_cache_saved_pico_usd, "
    "bool_or(c.heals_unpriced) AS healed FROM cost_adjustment AS c WHERE c.tenant_no = e.tenant_no "
    "AND c.event_key = e.event_key AND c.occurred_at = e.occurred_at) AS a ON true"
)
RAW_FROM_UNADJUSTED: Final = "usage_event AS e"
_WASTED = "(e.status <> 'ok' OR e.superseded)"


def raw_quantities(*, adjusted: bool) -> dict[str, str]:
    """Each quantity as an aggregate over raw events; `adjusted` where the store holds adjustments at all."""
    delta, healed = ("coalesce(a.delta_pico_usd, 0)", "AND a.healed IS NOT TRUE") if adjusted else ("0", "")
    return {
        "calls": "count(*)",
        "requests": "count(*) FILTER (WHERE e.attempt = 1)",
        "errors": "count(*) FILTER (WHERE e.status <> 'ok')",
        "unpriced_events": f"count(*) FILTER (WHERE e.cost_pico_usd IS NULL {healed})".replace(" )", ")"),
        "late_events": f"count(*) FILTER (WHERE e.received_at > e.occurred_at + INTERVAL '{LATE_SECONDS} seconds')",
        "retry_count": "sum(e.retry_count)",
        "cache_hits": "count(*) FILTER (WHERE e.cache_hit)",
        "latency_sum_ms": "sum(coalesce(e.latency_ms, 0))",
        "latency_count": "count(e.latency_ms)",
        **{name: f"sum(e.{name})" for name in USAGE_CLASSES},
        "prompt_tokens": f"sum({' + '.join(f'e.{name}' for name in PROMPT_CLASSES)})",
        "completion_tokens": f"sum({' + '.join(f'e.{name}' for name in COMPLETION_CLASSES)})",
        "billed_pico_usd": "sum(coalesce(e.cost_pico_usd, 0))",
        "adjustment_pico_usd": f"sum({delta})",
        "wasted_pico_usd": f"coalesce(sum(coalesce(e.cost_pico_usd, 0) + {delta}) FILTER (WHERE {_WASTED}), 0)",
        "response_cache_saved_pico_usd": _saved("response_cache_saved_pico_usd", adjusted=adjusted),
        "prompt_cache_saved_pico_usd": _saved("prompt_cache_saved_pico_usd", adjusted=adjusted),
    }


def _saved(column: str, *, adjusted: bool) -> str:
    return f"sum(e.{column} + coalesce(a.{column}, 0))" if adjusted else f"sum(e.{column})"


def rollup_quantity(rollup: Rollup, name: str) -> str:
    """The aggregate that gives a quantity from a rollup that holds it."""
    columns = QUANTITIES[name].columns_in(rollup) if name in QUANTITIES else None
    assert columns is not None, f"{rollup.name} does not hold {name}"
    return f"sum({' + '.join(columns)})"


def _latency_thresholds() -> tuple[int, ...]:
    # Latencies are whole milliseconds: one is past bound(b) exactly when it reaches floor(bound(b)) + 1.
    return tuple(int(latency_bound_ms(bucket)) + 1 for bucket in range(LATENCY_BUCKET_MAX))


def latency_bucket_sql(column: str) -> str:
    """The histogram's bucket of a latency in SQL, as the processor puts it."""
    bounds = ",".join(str(bound) for bound in _latency_thresholds())
    return f"width_bucket({column}, '{{{bounds}}}'::bigint[])"


def latency_bucket(latency_ms: int) -> int:
    """The same in Python."""
    return bisect_right(_latency_thresholds(), latency_ms)


def percentile_ms(histogram: Iterable[tuple[int, int]], share: float) -> float | None:
    """Upper bound of the bucket in which the call at `share` (0 to 1) lies; None without calls.

    `histogram` is (bucket, calls). At most 19 % above the true value.
    """
    counts = sorted(histogram)
    rank, seen = share * sum(calls for _, calls in counts), 0
    for bucket, calls in counts:
        seen += calls
        if calls and seen >= rank:
            return round(latency_bound_ms(bucket), 1)
    return None
