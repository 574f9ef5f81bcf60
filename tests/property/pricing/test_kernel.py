"""The laws of a price, and an oracle in Decimal that shares nothing with the product."""

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.book import read_book
from pricing.kernel import price_event
from tests.property.pricing.random_books import CLASSES, DAYS, Data, book_text, books, events, usages
from tests.property.pricing.test_columns import one

PROMPT = {"input_uncached", "cache_read", "cache_write_5m", "cache_write_1h", "input_audio", "input_image"}
AT_US = 1_790_000_000_000_000
PICO = Decimal("0.000000000001")


def oracle_plan(book: Data, event: Data) -> tuple[Data, Decimal, Decimal] | None:
    """What bills the event: the raw price data, the multiplier of tokens and that of units; None without a price."""
    entry, discount = oracle_entry(book, event)
    if entry is None:
        return None
    tiers, factor = entry.get("service_tiers", {}), discount
    for region in entry.get("regions", []):
        if event["region"] in region["match"] and "multiplier" in region:
            factor *= Decimal(region["multiplier"])
        elif event["region"] in region["match"]:
            tiers = {name: tier for name, tier in tiers.items() if "multiplier" in tier}
            tiers |= region.get("service_tiers", {})
            entry = {"units": entry.get("units", {}), **region}
    tiers = {"standard": {"multiplier": "1"}, "": {"multiplier": "1"}, **tiers}
    tier = tiers.get(event["service_tier"], tiers.get("*"))
    if tier is None:
        return None
    if "multiplier" not in tier:
        return {"units": entry.get("units", {}), **tier}, factor, discount
    for window in entry.get("windows", []):
        if inside(window, event["occurred_at_us"]):
            prices = entry if "multiplier" in window else {"units": entry.get("units", {}), **window}
            return prices, Decimal(window.get("multiplier", 1)) * Decimal(tier["multiplier"]) * factor, discount
    return entry, Decimal(tier["multiplier"]) * factor, discount


def oracle_entry(book: Data, event: Data) -> tuple[Data | None, Decimal]:
    """The entry in force, the tenant's own if it has one, and the tenant's discount on it."""
    model = book["providers"].get(event["provider"], {"models": {}})["models"].get(event["model"])
    entry = in_force(model["entries"] if model else [], event)
    terms = [term for term in book.get("tenants", {}).get(event["tenant"], []) if model]
    for name in (event["model"], "*"):
        term = in_force([term for term in terms if term["model"] == name], event)
        if term is not None and "multiplier" not in term:
            return term, Decimal(1)
        if term is not None:
            return entry, Decimal(term["multiplier"])
    return entry, Decimal(1)


def in_force(dated: list[Data], event: Data) -> Data | None:
    begun = [one for one in dated if begins(one["effective_from"]) * 1_000_000 <= event["occurred_at_us"]]
    return max(begun, key=lambda one: begins(one["effective_from"]), default=None)


def inside(window: Data, occurred_at_us: int) -> bool:
    """Whether a window that began today or yesterday is still open at that moment."""
    now = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=occurred_at_us)
    for start in (now.date(), now.date() - timedelta(days=1)):
        clocks = [[int(part) for part in window[end].split(":")] for end in ("from", "to")]
        opens, closes = (
            datetime(start.year, start.month, start.day, tzinfo=UTC) + timedelta(hours=hour, minutes=minute)
            for hour, minute in clocks
        )
        closes += timedelta(days=closes <= opens)
        if start.strftime("%a").lower() in window.get("days", DAYS) and opens <= now < closes:
            return True
    return False


def begins(date: str) -> int:
    moment = datetime.fromisoformat(date)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def oracle_cost_usd(book: Data, event: Data) -> Decimal | None:
    """The cost of the event in dollars by schoolbook arithmetic; None if anything in it has no price."""
    found = oracle_plan(book, event)
    if found is None:
        return None
    plan, multiplier, discount = found
    prompt = sum(count for name, count in event["usage"].items() if name in PROMPT)
    table = plan.get("prices", {})
    for band in plan.get("long_context", []):
        if prompt > band["above_prompt_tokens"]:
            table = band["prices"]
    total = Decimal(0)
    for name, count in event["usage"].items():
        price = table.get(table.get(name, ""), table.get(name))
        if count and price is None:
            return None
        total += count * Decimal(price or 0) / 1_000_000
    total = (total * multiplier).quantize(PICO, ROUND_HALF_EVEN)
    for name, count in event["units"].items():
        if count and name not in plan.get("units", {}):
            return None
        total += count * Decimal(plan.get("units", {}).get(name, 0)) * discount
    return total


@settings(deadline=None, max_examples=150)
@given(books(), events())
def test_costs_are_those_of_an_independent_decimal_oracle(data: Data, event: Data) -> None:
    result = one(read_book(book_text(data)), {**event, "cache_hit": False})
    with localcontext(prec=60):
        expected = oracle_cost_usd(data, event)
        got = None if result.cost_pico_usd is None else result.cost_pico_usd * PICO
    assert got == expected
    assert (result.unpriced_reason != "") == (expected is None)


@settings(deadline=None, max_examples=60)
@given(books(), events())
def test_a_cache_hit_costs_nothing_and_saves_what_it_would_have_cost(data: Data, event: Data) -> None:
    book = read_book(book_text(data))
    hit, miss = (one(book, {**event, "cache_hit": cache_hit}) for cache_hit in (True, False))
    if miss.cost_pico_usd is None:
        assert hit == miss
    else:
        assert (hit.cost_pico_usd, hit.prompt_cache_saved_pico_usd) == (0, 0)
        assert hit.response_cache_saved_pico_usd == miss.cost_pico_usd


@settings(deadline=None, max_examples=60)
@given(books(bands=False), usages(), st.sets(st.sampled_from(CLASSES)))
def test_prices_add_up_over_disjoint_classes(data: Data, usage: dict[str, int], chosen: set[str]) -> None:
    book = read_book(book_text(data))
    parts = [{name: count for name, count in usage.items() if (name in chosen) == inside} for inside in (True, False)]
    costs = [
        price_event(book, part, provider="vendor", model="m0", occurred_at_us=AT_US).cost_pico_usd
        for part in (usage, *parts)
    ]
    if costs[0] is None:
        assert None in costs[1:]
    else:
        assert costs[0] == (costs[1] or 0) + (costs[2] or 0)


@settings(deadline=None, max_examples=60)
@given(books(bands=False), usages(), st.sampled_from(CLASSES), st.sampled_from(("", "batch", "priority")))
def test_one_more_token_never_costs_less(data: Data, usage: dict[str, int], name: str, service_tier: str) -> None:
    book = read_book(book_text(data))
    more = {**usage, name: usage.get(name, 0) + 1}
    before, after = (
        price_event(
            book, counts, provider="vendor", model="m0", occurred_at_us=AT_US, service_tier=service_tier
        ).cost_pico_usd
        for counts in (usage, more)
    )
    assert after is None or (before is not None and after >= before)


@settings(deadline=None, max_examples=60)
@given(books(), events())
def test_what_the_prompt_cache_saved_is_what_the_same_tokens_uncached_cost_more(data: Data, event: Data) -> None:
    book = read_book(book_text(data))
    usage = {"cache_read": event["usage"].get("cache_read", 0)}
    plain = {**event, "usage": usage, "cache_hit": False, "service_tier": "", "units": {}}
    read = one(book, plain)
    uncached = one(book, {**plain, "usage": {"input_uncached": usage["cache_read"]}})
    if read.cost_pico_usd is not None and uncached.cost_pico_usd is not None:
        assert read.prompt_cache_saved_pico_usd == uncached.cost_pico_usd - read.cost_pico_usd
    else:
        assert read.prompt_cache_saved_pico_usd == 0 or uncached.cost_pico_usd is None
