"""Percentiles from the latency histogram, and SQL for every quantity."""

from __future__ import annotations

import math
import random

import pytest

from services.contracts.dimensions import MEASURES, QUANTITIES
from services.contracts.rollups import latency_bound_ms
from services.query.read.sources import latency_bucket, percentile_ms, raw_quantities


@pytest.mark.parametrize("latency_ms", [0, 1, 2, 3, 4, 8, 16, 17, 1_000, 65_536, 65_537, 16_777_216])
def test_a_latency_lies_within_the_bounds_of_its_bucket(latency_ms: int) -> None:
    bucket = latency_bucket(latency_ms)
    assert latency_ms <= latency_bound_ms(bucket)
    assert bucket == 0 or latency_ms > latency_bound_ms(bucket - 1)


def test_a_percentile_is_at_most_a_fifth_above_the_true_one() -> None:
    rng = random.Random(5)
    latencies = sorted(rng.randrange(2, 60_000) for _ in range(5_000))
    histogram: dict[int, int] = {}
    for latency in latencies:
        histogram[latency_bucket(latency)] = histogram.get(latency_bucket(latency), 0) + 1
    for share in (0.5, 0.95, 0.99):
        true = latencies[math.ceil(share * len(latencies)) - 1]
        found = percentile_ms(histogram.items(), share)
        assert found is not None
        assert true - 0.05 <= found <= true * 1.19 + 0.05


def test_without_calls_there_is_no_percentile() -> None:
    assert percentile_ms([], 0.5) is None


def test_every_quantity_of_every_measure_can_be_counted_from_raw_events() -> None:
    known = raw_quantities(adjusted=True)
    assert set(QUANTITIES) == set(known) == set(raw_quantities(adjusted=False))
    assert {name for measure in MEASURES.values() for name in measure.quantities} <= set(known)
