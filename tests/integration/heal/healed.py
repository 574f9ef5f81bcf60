"""What all rollups must say once everything has a price, in Decimal, and what they do say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import psycopg

from services.contracts.stubs.spendstream.v1 import usage_pb2
from tests.ledger import PRICES

_MILLION = Decimal(10**6)
_PICO = Decimal(10**12)
# Rollup → its levels, and the dimension it is compared by.
LEVELS = {
    "usage": (("minute", "15m", "hour", "day"), "model"),
    "customer": (("hour", "day"), "customer_id"),
    "channel": (("hour", "day"), "channel"),
    "region": (("hour", "day"), "region"),
}


@dataclass
class Wanted:
    """Sums of what was sent, by the value of a dimension: USD as Decimal."""

    cost: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    wasted: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    saved: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    calls: dict[str, int] = field(default_factory=lambda: defaultdict(int))


def wanted(events: Iterable[usage_pb2.UsageEvent], dimension: str, prices: Mapping[str, Sequence[Decimal]]) -> Wanted:
    """By `dimension`; an event whose model has no price costs nothing."""
    sums = Wanted()
    for event in events:
        prompt, cached, completion = prices.get(event.model, (Decimal(0),) * 3)
        usage = event.usage
        cost = (usage.input_uncached * prompt + usage.cache_read * cached + usage.output_text * completion) / _MILLION
        value = getattr(event, dimension)
        sums.calls[value] += 1
        sums.cost[value] += cost
        sums.saved[value] += usage.cache_read * (prompt - cached) / _MILLION
        if event.status not in (usage_pb2.STATUS_OK, usage_pb2.STATUS_UNSPECIFIED) or event.superseded:
            sums.wasted[value] += cost
    return sums


def differences(
    dsn: str, tenant_nos: list[int], events: Sequence[usage_pb2.UsageEvent], priced: Sequence[str] = tuple(PRICES)
) -> list[str]:
    """Every level of every rollup, and the runs, against Decimal arithmetic; empty when all is equal."""
    prices = {model: PRICES[model] for model in priced}
    wrong: list[str] = []
    with psycopg.connect(dsn) as connection:
        for rollup, (levels, dimension) in LEVELS.items():
            sums = wanted(events, dimension, prices)
            unpriced = sum(event.model not in prices for event in events)
            for level in levels:
                found = connection.execute(
                    (
                        f"SELECT {dimension}, sum(billed_pico_usd + adjustment_pico_usd), sum(wasted_pico_usd), "
                        f"sum(calls), sum(unpriced_events) FROM {rollup}_{level} "
                        "WHERE tenant_no = ANY(%s) GROUP BY 1"
                    ).encode(),
                    (tenant_nos,),
                ).fetchall()
                wrong += _compared(f"{rollup}_{level} cost", {row[0]: row[1] / _PICO for row in found}, sums.cost)
                wrong += _compared(f"{rollup}_{level} wasted", {row[0]: row[2] / _PICO for row in found}, sums.wasted)
                wrong += _compared(f"{rollup}_{level} calls", {row[0]: row[3] for row in found}, sums.calls)
                if sum(row[4] for row in found) != unpriced:
                    wrong.append(f"{rollup}_{level} unpriced: {sum(row[4] for row in found)}, not {unpriced}")
        saved = connection.execute(
            "SELECT model, sum(prompt_cache_saved_pico_usd) FROM usage_day WHERE tenant_no = ANY(%s) GROUP BY 1",
            (tenant_nos,),
        ).fetchall()
        wrong += _compared("saved", {row[0]: row[1] / _PICO for row in saved}, wanted(events, "model", prices).saved)
        runs = connection.execute(
            "SELECT run_id, sum(billed_pico_usd + adjustment_pico_usd), sum(unpriced_events) FROM run "
            "WHERE tenant_no = ANY(%s) GROUP BY 1",
            (tenant_nos,),
        ).fetchall()
        wrong += _compared("run", {row[0]: row[1] / _PICO for row in runs}, wanted(events, "run_id", prices).cost)
        if sum(row[2] for row in runs) != sum(event.model not in prices for event in events):
            wrong.append("run unpriced")
    return wrong


def _compared(name: str, found: Mapping[str, object], sums: Mapping[str, object]) -> list[str]:
    return [
        f"{name} of {key!r}: {found.get(key, 0)}, not {sums.get(key, 0)}"
        for key in {*found, *sums}
        if found.get(key, 0) != sums.get(key, 0)
    ]
