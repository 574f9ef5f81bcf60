"""What the price book holds once it is read: providers, models, dated entries, and the plans they bill by."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
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

    def times(self, multiplier: Fraction, *, units: bool = False) -> "Plan":
        """This plan with its token prices multiplied, in every window; unit prices too where `units`, which then must
        stay whole numbers."""
        product = multiplier * Fraction(self.numerator, self.denominator)
        windows = tuple(Window(window.minutes, window.plan.times(multiplier, units=units)) for window in self.windows)
        unit_prices = self.unit_prices
        if units:
            unit_prices = {name: int(price * multiplier) for name, price in unit_prices.items()}
        return Plan(self.bands, unit_prices, product.numerator, product.denominator, windows)

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
    regions: Mapping[str, Mapping[str, Plan]] = field(default_factory=dict)

    def plan(self, service_tier: str, region: str = "") -> Plan | None:
        """The plan of a service tier ("" is standard), in a region if that has prices of its own; None where the book
        has no price for it."""
        plans = self.regions.get(region, self.plans) if self.regions else self.plans
        return plans.get(service_tier or "standard") or plans.get(ANY_SERVICE_TIER)

    def every_plan(self) -> Iterator[Plan]:
        """All plans, those of regions and windows among them."""
        for plans in (self.plans, *self.regions.values()):
            for plan in plans.values():
                yield plan
                yield from (window.plan for window in plan.windows)

    def times(self, multiplier: Fraction, entry_id: str) -> "Entry":
        """This entry with all its prices multiplied, under another id."""

        def multiplied(plans: Mapping[str, Plan]) -> dict[str, Plan]:
            return {tier: plan.times(multiplier, units=True) for tier, plan in plans.items()}

        regions = {region: multiplied(plans) for region, plans in self.regions.items()}
        return replace(self, entry_id=entry_id, plans=multiplied(self.plans), regions=regions)


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
class Term:
    """What one tenant pays for a model, or for all of a provider's (`model` "*"): a multiplier on the list's prices, or
    an entry of its own. In force from `effective_from_us` up to but not including `effective_until_us`."""

    term_id: str
    model: str
    effective_from_us: int
    effective_until_us: int
    multiplier: Fraction | None
    entry: Entry | None

    def holds(self, moment_us: int) -> bool:
        """Whether it is in force at a moment."""
        return self.effective_from_us <= moment_us < self.effective_until_us


@dataclass(frozen=True, slots=True)
class ProviderPrices:
    """A vendor's models and the rules that lead other names to them."""

    name: str
    models: Mapping[str, ModelPrices]
    exact_rules: Mapping[str, str]
    prefix_rules: tuple[PrefixRule, ...]
    spellings: tuple[str, ...] = ()
    """What may stand before a name and changes no price: "openrouter/"."""

    def model_name(self, model: str) -> str | None:
        """The model's own name by its exact name, an exact rule, or the first prefix rule that fits; else the same
        without a spelling before it."""
        if model in self.models:
            return model
        name = self._model_name(model)
        if name is None:
            spelled = next((spelling for spelling in self.spellings if model.startswith(spelling)), None)
            name = self._model_name(model.removeprefix(spelled)) if spelled else None
        return name

    def _model_name(self, model: str) -> str | None:
        name = model if model in self.models else self.exact_rules.get(model)
        if name is None:
            name = next((rule.model for rule in self.prefix_rules if model.startswith(rule.prefix)), None)
        return name

    def find(self, model: str) -> ModelPrices | None:
        """The model that a name means."""
        name = self.model_name(model)
        return None if name is None else self.models[name]


@dataclass(frozen=True, slots=True, eq=False)
class PriceBook:
    """A whole book, read and checked. Immutable: a change of price is another book with another version."""

    version: str
    unit_names: frozenset[str]
    providers: Mapping[str, ProviderPrices]
    provider_aliases: Mapping[str, str] = field(default_factory=dict)
    terms: Mapping[str, Mapping[str, tuple[Term, ...]]] = field(default_factory=dict)
    """By tenant and provider; only tenants that pay anything but the list price are here."""
    regions: frozenset[str] = frozenset()
    """Every region that some entry has prices for; any other makes no difference."""
    _own: dict[tuple[str, str, str], ModelPrices] = field(default_factory=dict)

    def provider(self, name: str) -> ProviderPrices | None:
        """The vendor by its name or by an alias the book declares."""
        return self.providers.get(self.provider_aliases.get(name, name))

    def find(self, provider: str, model: str, tenant: str = "") -> ModelPrices | None:
        """The model's prices, a tenant's own where it has terms; None where the book has no such model."""
        found = self.provider(provider)
        if found is None or not tenant or tenant not in self.terms:
            return None if found is None else found.find(model)
        name, terms = found.model_name(model), self.terms[tenant].get(found.name, ())
        if name is None or not terms:
            return None if name is None else found.models[name]
        key = (tenant, found.name, name)
        if key not in self._own:
            self._own[key] = tenant_prices(found.models[name], name, terms)
        return self._own[key]


def tenant_prices(model: ModelPrices, name: str, terms: tuple[Term, ...]) -> ModelPrices:
    """The model's entries as one tenant pays them. A term for the model goes before one for all; they don't add up."""
    apt = [*(term for term in terms if term.model == name), *(term for term in terms if term.model == "*")]
    edges = {edge for term in apt for edge in (term.effective_from_us, term.effective_until_us)}
    edges |= {edge for entry in model.entries for edge in (entry.effective_from_us, entry.effective_until_us)}
    moments = sorted(edges)
    entries = []
    for start, end in pairwise(moments):
        entry = model.entry_at(start)
        term = next((term for term in apt if term.holds(start)), None)
        if term is not None and term.entry is not None:
            entry = term.entry
        elif term is not None and term.multiplier is not None and entry is not None:
            entry = entry.times(term.multiplier, f"{entry.entry_id} {term.term_id}")
        if entry is not None:
            entries.append(replace(entry, effective_from_us=start, effective_until_us=end))
    return ModelPrices(model.name, model.tier, tuple(entries), tuple(entry.effective_from_us for entry in entries))


def price_vector(prices: Mapping[str, int]) -> tuple[int | None, ...]:
    """Prices by class as a vector in canonical order, None where a class has none."""
    return tuple(prices.get(name) for name in USAGE_CLASS_INDEX)
