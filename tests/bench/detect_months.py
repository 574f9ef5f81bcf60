"""Synthetic months of spending, seeded: rhythm of day and week, noise, growth, sparse series; and what is injected.

Costs are of calls that scatter: an hour's calls are Poisson about its rate, its cost is their sum with a spread of its
own. Nothing here is shared with the product but the plain data classes it takes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Literal

import numpy as np

from services.processor.spikes import HourTotals, Measures

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
START = datetime(2026, 8, 3, tzinfo=UTC)  # a Monday
HISTORY_DAYS, TEST_DAYS = 28, 30
HOURS = (HISTORY_DAYS + TEST_DAYS) * 24
FIRST_TESTED = HISTORY_DAYS * 24
Kind = Literal["clean", "jump", "ramp", "prompt_growth", "retry_storm"]
Shape = Literal["cyclic", "weekday", "growing", "bursty", "sparse"]
_CALL_PICO_USD = 20_000_000_000


@dataclass(frozen=True)
class Injection:
    """From hour `start` for `hours`; `factor` at its height. A ramp and growing prompts climb to it linearly."""

    kind: Kind
    start: int
    hours: int
    factor: float

    def calls_factor(self, hour: float) -> float:
        return self._at(hour) if self.kind in ("jump", "ramp", "retry_storm") else 1.0

    def price_factor(self, hour: float) -> float:
        return self._at(hour) if self.kind == "prompt_growth" else 1.0

    def covers(self, hour: int) -> bool:
        return self.start <= hour < self.start + self.hours

    def _at(self, hour: float) -> float:
        if not self.start <= hour < self.start + self.hours:
            return 1.0
        if self.kind in ("jump", "retry_storm"):
            return self.factor
        climb = min(1.0, (hour - self.start) / max(1, self.hours - 1) * (2.0 if self.kind == "prompt_growth" else 1.0))
        return 1.0 + (self.factor - 1.0) * climb


@dataclass(frozen=True)
class SeriesOf:
    """A series' hours, all of them; `rate` is what its calls an hour were drawn about."""

    shape: Shape
    rate: np.ndarray
    calls: np.ndarray
    cost_pico_usd: np.ndarray
    injection: Injection | None

    def totals(self, hour: int) -> HourTotals:
        return self._all[hour]

    def history(self, hour: int) -> list[HourTotals]:
        return self._all[max(0, hour - HISTORY_DAYS * 24) : hour]

    @cached_property
    def _all(self) -> list[HourTotals]:
        both = zip(self.cost_pico_usd.tolist(), self.calls.tolist(), strict=True)
        return [
            HourTotals(START + hour * HOUR, Measures(int(cost), calls, calls, 0, 0))
            for hour, (cost, calls) in enumerate(both)
        ]

    def seconds(self, rng: np.random.Generator, hour: int, step: int) -> Iterator[tuple[datetime, list[HourTotals]]]:
        """The hour again, second by second: each `step` seconds the moment and the minutes of the last five."""
        injection = self.injection
        base = self.rate[hour] / (injection.calls_factor(hour) if injection else 1.0)
        minutes: dict[datetime, Measures] = {}
        for second in range(-300, 3_600, step):
            at = START + hour * HOUR + timedelta(seconds=second)
            where = hour + second / 3_600
            calls_factor = injection.calls_factor(where) if injection else 1.0
            price = injection.price_factor(where) if injection else 1.0
            calls = int(rng.poisson(base * calls_factor * step / 3_600))
            minute = at.replace(second=0)
            cost = int(_cost(rng, np.array([calls]), price)[0])
            minutes[minute] = minutes.get(minute, Measures()) + Measures(cost, calls, calls, 0, 0)
            now = at + timedelta(seconds=step) - timedelta(microseconds=1)
            if second >= 0:
                yield now, [HourTotals(at, measures) for at, measures in minutes.items() if at > now - 6 * MINUTE]


def _cost(rng: np.random.Generator, calls: np.ndarray, price: float | np.ndarray) -> np.ndarray:
    """The sum of so many calls that cost as much as they scatter."""
    return rng.gamma(np.maximum(calls, 1e-9), _CALL_PICO_USD * np.asarray(price)) * (calls > 0)


def make_series(seed: int, shape: Shape, kind: Kind) -> SeriesOf:
    """The same for the same seed."""
    rng = np.random.default_rng([seed, hash_of(shape), hash_of(kind)])
    hours = np.arange(HOURS)
    level = math.exp(rng.uniform(math.log(600), math.log(20_000)))
    if shape == "sparse":
        level = rng.uniform(10, 60)
    swing, weekend = rng.uniform(0.3, 0.75), rng.uniform(0.15, 0.5) if shape == "weekday" else rng.uniform(0.5, 1.0)
    day = 1 + swing * np.cos((hours % 24 - rng.uniform(10, 18)) / 24 * 2 * np.pi)
    week = np.where((hours // 24) % 7 >= 5, weekend, 1.0)
    growth = np.exp(hours / HOURS * rng.uniform(0.3, 0.9)) if shape == "growing" else 1.0
    noise = np.exp(rng.normal(0, rng.uniform(0.06, 0.15), HOURS))
    rate = level * day * week * growth * noise
    if shape == "bursty":
        rate = np.where(hours % 24 == rng.integers(0, 24), rate * 4, rate * 0.5)
    injection = _injection(rng, kind)
    if injection is not None:
        rate = rate * np.asarray([injection.calls_factor(hour) for hour in range(HOURS)])
    price = np.asarray([injection.price_factor(hour) if injection else 1.0 for hour in range(HOURS)])
    calls = rng.poisson(rate)
    return SeriesOf(shape, rate, calls, _cost(rng, calls, price), injection)


def _injection(rng: np.random.Generator, kind: Kind) -> Injection | None:
    start = FIRST_TESTED + int(rng.integers(24, (TEST_DAYS - 14) * 24))
    if kind == "jump":
        return Injection(kind, start, int(rng.integers(2, 9)), float(rng.uniform(3.0, 8.0)))
    if kind == "retry_storm":
        return Injection(kind, start, int(rng.integers(1, 4)), float(rng.uniform(3.0, 6.0)))
    if kind == "prompt_growth":
        return Injection(kind, start, int(rng.integers(12, 36)), float(rng.uniform(3.0, 6.0)))
    if kind == "ramp":
        return Injection(kind, start, 13 * 24, float(rng.uniform(2.2, 3.5)))
    return None


def hash_of(text: str) -> int:
    """A number for a word, the same in every process."""
    return int.from_bytes(text.encode()[:7], "big")
