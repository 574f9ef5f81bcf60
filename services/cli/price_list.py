"""An open list of prices (`genai-prices`) → entries of the price book. Decides; reads and writes nothing.

The list's objects are taken as they are (attributes by name), so that nothing here needs the package.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final

PROVIDERS: Final[Mapping[str, str]] = {"aws": "aws.bedrock", "x-ai": "xai"}
"""The list's name of a provider → the book's, where they differ."""
_CLASSES: Final[Mapping[str, str]] = {
    "input_mtok": "input_uncached",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write_5m",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_mtok": "output_text",
    "output_reasoning_mtok": "output_reasoning",
    "input_audio_mtok": "input_audio",
    "output_audio_mtok": "output_audio",
    "input_image_mtok": "input_image",
    "output_image_mtok": "output_image",
}
_UNITS: Final = {"web_searches_kcount": ("web_searches", 1000), "requests_kcount": ("requests", 1000)}
# Sold beside the tokens and counted by nobody here: leaving them out changes no price of a token.
_BESIDE: Final = frozenset({"storage_searches_kcount", "cache_audio_read_mtok", "cache_image_read_mtok"})
# Variants by a colon are other offers of the same model (free, thinking, online); Bedrock's versions are not.
_VARIANTS: Final = (":free", ":thinking", ":extended", ":online", ":exacto", ":nitro", ":floor", ":beta", ":batch")
_TIERS: Final = {
    ("processing", "batch"): "batch",
    ("service_tier", "flex"): "flex",
    ("service_tier", "priority"): "priority",
}
_DEAREST: Final = {"input_uncached": Decimal(200), "output_text": Decimal(800)}
_OUT_OVER_IN_MAX: Final = 40

Prices = dict[str, Decimal]


@dataclass(frozen=True, slots=True)
class ListedPlan:
    """USD per million tokens by class, up to each threshold of prompt tokens: (above, prices), ascending from 0."""

    bands: tuple[tuple[int, Prices], ...]

    def at(self, prompt_tokens: int) -> Prices:
        return next(prices for above, prices in reversed(self.bands) if prompt_tokens > above or above == 0)


@dataclass(frozen=True, slots=True)
class ListedEntry:
    """One dated price of the list; `since` None is "always"."""

    since: date | None
    plan: ListedPlan
    units: Mapping[str, tuple[Decimal, int]]
    tiers: Mapping[str, ListedPlan] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model of the list under the book's names; `left_out` says why it can't be taken over, '' if it can."""

    provider: str
    name: str
    source: str
    entries: tuple[ListedEntry, ...]
    other_names: tuple[str, ...]
    left_out: str = ""


class NotInTheBooksLanguageError(ValueError):
    """The list says something the book has no words for."""


def listed_models(providers: list[Any], since: date) -> Iterator[ListedModel]:
    """Every model of the list; of its history what was in force at `since`, and later."""
    for provider in providers:
        name = PROVIDERS.get(provider.id, provider.id)
        source = (provider.pricing_urls or [""])[0].partition("#")[0]
        for model in provider.models:
            names = tuple(_names(model.match))
            others = tuple(other for other in names if other != model.id.lower())
            try:
                entries = _entries(model, since)
                left_out = next((why for entry in entries if (why := implausible(entry))), "")
                if model.id.endswith(_VARIANTS):
                    left_out = "a variant that the vendor does not list"
                if model.id.lower() not in names:
                    left_out = "no whole name, only a part of names: needs a rule with a reason"
            except NotInTheBooksLanguageError as error:
                entries, left_out = (), str(error)
            yield ListedModel(name, model.id, source, entries, others, left_out)


def implausible(entry: ListedEntry) -> str:
    """Why the prices can't be right, or '' when they may be."""
    for _, prices in entry.plan.bands:
        prompt, completion = prices.get("input_uncached", Decimal(0)), prices.get("output_text", Decimal(0))
        for name, most in _DEAREST.items():
            if prices.get(name, 0) > most:
                return f"{name} at {prices[name]} USD per million is dearer than any model"
        if prices.get("cache_read", Decimal(0)) > prompt:
            return f"reading the cache at {prices['cache_read']} is dearer than {prompt} without"
        if completion and prompt and not prompt / 4 <= completion <= _OUT_OVER_IN_MAX * prompt:
            return f"completion at {completion} beside prompt at {prompt}"
        if not any(prices.values()) and not entry.units:
            return "costs nothing: free for now is no price"
    return ""


def _names(match: Any) -> Iterator[str]:  # noqa: ANN401
    """Names that are matched whole; what is matched by a part of the name needs a person's eye."""
    if hasattr(match, "equals"):
        yield match.equals
    for clause in getattr(match, "or_", ()):
        yield from _names(clause)


def _entries(model: Any, since: date) -> tuple[ListedEntry, ...]:  # noqa: ANN401
    conditional = model.prices if isinstance(model.prices, list) else None
    if conditional is None:
        return (_entry(None, model.prices, model),)
    found: list[ListedEntry] = []
    for one in conditional:
        if one.constraint is not None and not hasattr(one.constraint, "start_date"):
            raise NotInTheBooksLanguageError("hours of the day: enter them by hand as windows")
        found.append(_entry(one.constraint.start_date if one.constraint else None, one.prices, model))
    found.sort(key=lambda entry: entry.since or date.min)
    current = max((n for n, entry in enumerate(found) if (entry.since or date.min) <= since), default=0)
    return tuple(found[current:])


def _entry(start: date | None, prices: Any, model: Any) -> ListedEntry:  # noqa: ANN401
    given = _given(prices)
    tiers = {}
    for variant in model.price_variants or ():
        tier = _TIERS.get(next(iter(variant.when.items()))) if len(variant.when) == 1 else None
        begins = getattr(variant.constraint, "start_date", None) if variant.constraint is not None else None
        if tier is None or (begins is not None and (start is None or begins > start)):
            continue
        tiers[tier] = _plan({**given, **_given(variant.prices)})
    units = {_UNITS[name][0]: (price, _UNITS[name][1]) for name, price in given.items() if name in _UNITS}
    return ListedEntry(start, _plan(given), units, tiers)


def _given(prices: Any) -> dict[str, Any]:  # noqa: ANN401
    given = {name: price for name, price in vars(prices).items() if price is not None and not name.startswith("_")}
    strange = sorted(set(given) - set(_CLASSES) - set(_UNITS) - _BESIDE)
    if strange:
        raise NotInTheBooksLanguageError(f"no usage class or unit for {', '.join(strange)}")
    return given


def _plan(given: Mapping[str, Any]) -> ListedPlan:
    priced = {_CLASSES[name]: price for name, price in given.items() if name in _CLASSES}
    starts = {0} | {tier.start for price in priced.values() for tier in getattr(price, "tiers", ())}
    return ListedPlan(
        tuple((start, {name: _at(price, start) for name, price in priced.items()}) for start in sorted(starts))
    )


def _at(price: Any, start: int) -> Decimal:  # noqa: ANN401
    """The price above `start` prompt tokens."""
    if not hasattr(price, "tiers"):
        return Decimal(price)
    return Decimal(next((tier.price for tier in reversed(price.tiers) if tier.start <= start), price.base))
