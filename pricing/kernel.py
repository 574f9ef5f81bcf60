"""The price of one event."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pricing.entries import ModelPrices, Plan, PriceBook
from pricing.money import COST_MAX_PICO_USD, PriceOverflowError, UsageCountError, multiply_half_even
from pricing.usage import COUNT_MAX, PROMPT_CLASSES, USAGE_CLASS_INDEX, USAGE_CLASSES

_INPUT_UNCACHED: Final = USAGE_CLASS_INDEX["input_uncached"]
_CACHE_READ: Final = USAGE_CLASS_INDEX["cache_read"]
_IS_PROMPT: Final = tuple(name in PROMPT_CLASSES for name in USAGE_CLASSES)
_NO_UNITS: Final[Mapping[str, int]] = {}


@dataclass(frozen=True, slots=True)
class PriceResult:
    """What an event costs and by which entry. `cost_pico_usd` is None, and the reason given, where it has no price."""

    cost_pico_usd: int | None
    prompt_cache_saved_pico_usd: int
    response_cache_saved_pico_usd: int
    entry_id: str
    tier: str
    unpriced_reason: str


@dataclass(frozen=True, slots=True)
class Bill:
    """What a plan asks for some usage. Where `unpriced_reason` isn't empty the amounts mean nothing."""

    cost_pico_usd: int
    prompt_cache_saved_pico_usd: int
    unpriced_reason: str


def price_event(
    book: PriceBook,
    usage: Mapping[str, int],
    *,
    provider: str,
    model: str,
    occurred_at_us: int,
    service_tier: str = "",
    cache_hit: bool = False,
    units: Mapping[str, int] | None = None,
    region: str = "",
    tenant: str = "",
) -> PriceResult:
    """Price one event with the entry in force at `occurred_at_us` (epoch microseconds, UTC).

    `usage` counts tokens by usage class, `units` other things by name. A cache hit (answered from a response cache)
    costs nothing and shows what it would have cost as saved; without a price it is unpriced like any other event.
    A region or tenant that the book says nothing about pays the list price.
    Raises PriceOverflowError past the limits of money.py and usage.py, UsageCountError on a bad count or class.
    """
    found = book.find(provider, model, tenant)
    if found is None:
        check_counts(usage, units or _NO_UNITS)
        known = book.provider(provider) is not None
        return _unpriced(f"no model {model!r} of {provider!r}" if known else f"no provider {provider!r}", "", "")
    return _price_known(found, usage, occurred_at_us, (service_tier, region), cache_hit, units or _NO_UNITS)


def _price_known(
    model: ModelPrices,
    usage: Mapping[str, int],
    occurred_at_us: int,
    tier_and_region: tuple[str, str],
    cache_hit: bool,
    units: Mapping[str, int],
) -> PriceResult:
    entry = model.entry_at(occurred_at_us)
    if entry is None:
        check_counts(usage, units)
        return _unpriced("no entry in force at that time", "", model.tier)
    plan = entry.plan(*tier_and_region)
    if plan is None:
        check_counts(usage, units)
        return _unpriced(f"no price for service tier {tier_and_region[0]!r}", entry.entry_id, model.tier)
    bill = bill_plan(plan.at(occurred_at_us), usage, units)
    if bill.unpriced_reason:
        return _unpriced(bill.unpriced_reason, entry.entry_id, model.tier)
    if cache_hit:
        return PriceResult(0, 0, bill.cost_pico_usd, entry.entry_id, model.tier, "")
    return PriceResult(bill.cost_pico_usd, bill.prompt_cache_saved_pico_usd, 0, entry.entry_id, model.tier, "")


def _unpriced(reason: str, entry_id: str, tier: str) -> PriceResult:
    return PriceResult(None, 0, 0, entry_id, tier, reason)


def check_counts(usage: Mapping[str, int], units: Mapping[str, int]) -> None:
    """UsageCountError or PriceOverflowError if a count is negative, of an unknown class, or past COUNT_MAX."""
    for name, count in usage.items():
        if name not in USAGE_CLASS_INDEX:
            raise UsageCountError(f"no usage class {name!r}")
        if not 0 <= count <= COUNT_MAX:
            _refuse_count(name, count)
    for name, count in units.items():
        if not 0 <= count <= COUNT_MAX:
            _refuse_count(name, count)


def _refuse_count(name: str, count: int) -> None:
    if count < 0:
        raise UsageCountError(f"{name} is negative: {count}")
    raise PriceOverflowError(f"{name} {count} is more than {COUNT_MAX} in one event")


def bill_plan(plan: Plan, usage: Mapping[str, int], units: Mapping[str, int]) -> Bill:
    """Apply one plan to one event's counts: band by prompt tokens, then classes, multiplier, units."""
    check_counts(usage, units)
    counts = [(USAGE_CLASS_INDEX[name], int(count)) for name, count in usage.items() if count]
    prices = plan.band(sum(count for index, count in counts if _IS_PROMPT[index])).prices
    total = saved = 0
    for index, count in counts:
        price = prices[index]
        if price is None:
            return Bill(0, 0, f"no price for usage class {USAGE_CLASSES[index]}")
        total += count * price
        uncached = prices[_INPUT_UNCACHED]
        if index == _CACHE_READ and uncached is not None:
            saved = count * (uncached - price)
    if plan.denominator != 1 or plan.numerator != 1:
        total = multiply_half_even(total, plan.numerator, plan.denominator)
        saved = multiply_half_even(saved, plan.numerator, plan.denominator)
    for name, count in units.items():
        unit_price = plan.unit_prices.get(name)
        if count and unit_price is None:
            return Bill(0, 0, f"no price for unit {name}")
        total += int(count) * (unit_price or 0)
    if total > COST_MAX_PICO_USD or abs(saved) > COST_MAX_PICO_USD:
        raise PriceOverflowError(f"an event's cost of {total} pico-USD is beyond {COST_MAX_PICO_USD}")
    return Bill(total, saved, "")
