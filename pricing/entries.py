"""What the price book holds once it is read: providers, models, dated entries, and the plans they bill by."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final, Literal, TypeAlias

from pricing.usage import USAGE_CLASS_INDEX

Tier: TypeAlias = Literal["cheap", "standard", "premium"]
TIERS: Final[tuple[str, ...]] = ("cheap", "standard", "premium")
SERVICE_TIERS: Final[tuple[str, ...]] = ("standard", "batch", "flex", "priority")
"""How a provider ran a call. An event that names none was run as `standard`."""
ANY_SERVICE_TIER: Final = "*"
MINUTE_US: Final = 60_000_000
MINUTES_OF_WEEK: Final = 7 * 24 * 60
EPOCH_MINUTE_OF_WEEK: Final = 3 * 24 * 60
"""1970-01-01 was a Thursday; weeks begin on Monday."""
END_OF_TIME_US: Final = 2**63 - 1
PRICE_MAX_PICO_USD: Final = 10**11
"""Dearest price of one token the book may hold: 100,000 USD per million."""


@dataclass(frozen=True, slots=True)
class Band:
    """The prices of a whole request whose prompt has more than `above_prompt_tokens` tokens.

    `prices` are pico-USD per token in the order of USAGE_CLASSES, fallbacks already followed; None is *no price*.
    """

    above_prompt_tokens: int
    prices: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """Hours of the week with prices of their own: ranges [begin, end) in minutes since Monday 00:00 UTC."""

    minutes: tuple[tuple[int, int], ...]
    plan: "Plan"

    def holds(self, minute_of_week: int) -> bool:
        """Whether the minute is in one of the ranges."""
        return any(begin <= minute_of_week < end for begin, end in self.minutes)


@dataclass(frozen=True, slots=True)
class Plan:
    """How an entry bills one service tier. The multiplier applies to tokens, not to units."""

    bands: tuple[Band, ...]
    unit_prices: Mapping[str, int]
    numerator: int = 1
    denominator: int = 1
    windows: tuple[Window, ...] = ()

    def at(self, occurred_at_us: int) -> "Plan":
        """The plan of that moment: the first window it falls into, else this one."""
        if not self.windows:
            return self
        minute = (occurred_at_us // MINUTE_US + EPOCH_MINUTE_OF_WEEK) % MINUTES_OF_WEEK
        return next((window.plan for window in self.windows if window.holds(minute)), self)

    def times(self, multiplier: Fraction) -> "Plan":
        """This plan with its token prices multiplied, in every window."""
        product = multiplier * Fraction(self.numerator, self.denominator)
        windows = tuple(Window(window.minutes, window.plan.times(multiplier)) for window in self.windows)
        return Plan(self.bands, self.unit_prices, product.numerator, product.denominator, windows)

    def band(self, prompt_tokens: int) -> Band:
        """The band a request falls into: bands ascend and the first takes everything."""
        chosen = self.bands[0]
        for band in self.bands[1:]:
            if prompt_tokens > band.above_prompt_tokens:
                chosen = band
        return chosen


@dataclass(frozen=True, slots=True)
class Entry:
    """Prices in force from `effective_from_us` up to but not including `effective_until_us` (epoch µs, UTC)."""

    entry_id: str
    effective_from_us: int
    effective_until_us: int
    plans: Mapping[str, Plan]
    source: str
    checked: str

    def plan(self, service_tier: str) -> Plan | None:
        """The plan of a service tier ("" is standard); None where the book has no price for it."""
        return self.plans.get(service_tier or "standard") or self.plans.get(ANY_SERVICE_TIER)


@dataclass(frozen=True, slots=True)
class ModelPrices:
    """One model's tier and its entries, ascending and not overlapping. `name` is "provider/model"."""

    name: str
    tier: str
    entries: tuple[Entry, ...]
    starts_us: tuple[int, ...]

    def entry_at(self, occurred_at_us: int) -> Entry | None:
        """The entry in force at a moment; None before the first and in a gap."""
        position = bisect_right(self.starts_us, occurred_at_us) - 1
        if position < 0 or occurred_at_us >= self.entries[position].effective_until_us:
            return None
        return self.entries[position]


@dataclass(frozen=True, slots=True)
class PrefixRule:
    """Names that start with `prefix` are billed as `model`; the book says why."""

    prefix: str
    model: str
    reason: str


@dataclass(frozen=True, slots=True)
class ProviderPrices:
    """A vendor's models and the rules that lead other names to them."""

    name: str
    models: Mapping[str, ModelPrices]
    exact_rules: Mapping[str, str]
    prefix_rules: tuple[PrefixRule, ...]

    def find(self, model: str) -> ModelPrices | None:
        """The model by its exact name, else by an exact rule, else by the first prefix rule that fits."""
        name = model if model in self.models else self.exact_rules.get(model)
        if name is None:
            name = next((rule.model for rule in self.prefix_rules if model.startswith(rule.prefix)), None)
        return None if name is None else self.models[name]


@dataclass(frozen=True, slots=True, eq=False)
class PriceBook:
    """A whole book, read and checked. Immutable: a change of price is another book with another version."""

    version: str
    unit_names: frozenset[str]
    providers: Mapping[str, ProviderPrices]
    provider_aliases: Mapping[str, str] = field(default_factory=dict)

    def provider(self, name: str) -> ProviderPrices | None:
        """The vendor by its name or by an alias the book declares."""
        return self.providers.get(self.provider_aliases.get(name, name))

    def find(self, provider: str, model: str) -> ModelPrices | None:
        """The model's prices, or None where the book knows no such provider or model."""
        found = self.provider(provider)
        return None if found is None else found.find(model)


def price_vector(prices: Mapping[str, int]) -> tuple[int | None, ...]:
    """Prices by class as a vector in canonical order, None where a class has none."""
    return tuple(prices.get(name) for name in USAGE_CLASS_INDEX)
