"""Random price books as plain data, and random events for them. JSON is YAML, so the data is the book's text too."""

import json
import re
from typing import Any, TypeAlias

from hypothesis import strategies as st

CLASSES = (
    "input_uncached",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "output_text",
    "output_reasoning",
    "input_audio",
    "output_audio",
    "input_image",
    "output_image",
)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
UNITS = ("requests", "read_units")
DATES = ("2025-01-01", "2025-06-15T12:30:00Z", "2026-01-01", "2026-11-22T00:00:00+02:00")
MONDAY_US = 1_795_392_000_000_000  # 2026-11-23T00:00:00Z
HALF_HOUR_US = 1_800_000_000
MOMENTS_US = [
    *(1_700_000_000_000_000 + step * 8_000_000_000_000 for step in range(12)),
    *(MONDAY_US + step * HALF_HOUR_US for step in range(-6, 7)),
]
HOURS = ("00:00", "00:30", "01:00", "12:00", "22:30", "23:00", "23:30")
REGIONS = ("eu", "us", "mars")
TENANTS = ("acme", "globex")
_NOISE = re.compile(r"[1-9]\d*(0{3,}[1-9]|9{4,}\d?)")
MULTIPLIERS = ("0.5", "0.5", "0.25", "1.5", "0.000001", "0", "2")
COUNTS = (0, 1, 2, 3, 9, 10, 11, 99, 100, 101)
Data: TypeAlias = dict[str, Any]


def decimals(places: int, most: int) -> st.SearchStrategy[str]:
    """Plain decimal strings from 0 to `most` with up to so many places."""
    texts = st.integers(0, most * 10**places).map(
        lambda n: f"{n // 10**places}.{n % 10**places:0{places}d}" if places else str(n)
    )
    return texts.filter(lambda text: not _NOISE.fullmatch(text.replace(".", "").lstrip("0")))


@st.composite
def price_tables(draw: st.DrawFn, classes: tuple[str, ...], dear: bool) -> Data:
    """A price for each class: most its own, some by naming an earlier class that has its own."""
    most = 100_000 if dear else 100
    table: Data = {}
    for name in classes:
        priced = [other for other in table if table[other] not in CLASSES]
        fallback = draw(st.none() | st.sampled_from(priced)) if priced else None
        table[name] = fallback or draw(st.sampled_from(("0.000001", "0.000003", "2.50")) | decimals(6, most))
    return table


@st.composite
def plans(draw: st.DrawFn, classes: tuple[str, ...], bands: bool, dear: bool) -> Data:
    """Prices, perhaps with long-context thresholds."""
    plan: Data = {"prices": draw(price_tables(classes, dear))}
    thresholds = sorted(draw(st.sets(st.sampled_from((1, 10, 100)), max_size=2))) if bands else []
    if thresholds:
        plan["long_context"] = [
            {"above_prompt_tokens": above, "prices": draw(price_tables(classes, dear))} for above in thresholds
        ]
    return plan


@st.composite
def windows(draw: st.DrawFn, classes: tuple[str, ...], dear: bool) -> Data:
    """Hours of some days, many of them across midnight, with a multiplier or prices of their own."""
    window: Data = {"from": draw(st.sampled_from(HOURS)), "to": draw(st.sampled_from((*HOURS, "24:00")))}
    days = draw(st.sets(st.sampled_from(("sun", *DAYS))))
    if days:
        window["days"] = sorted(days)
    if draw(st.booleans()) and classes:
        return window | draw(plans(classes, True, dear))
    return window | {"multiplier": draw(st.sampled_from(MULTIPLIERS) | decimals(6, 3))}


@st.composite
def entries(draw: st.DrawFn, start: str, bands: bool, dear: bool) -> Data:
    """One dated entry."""
    chosen = draw(st.sets(st.sampled_from(CLASSES), max_size=10))
    classes = tuple(name for name in CLASSES if name in chosen or name == "input_uncached")
    if draw(st.integers(0, 9)) == 9:
        classes = ()
    entry = draw(plans(classes, bands, dear)) if classes else {}
    if not classes or draw(st.booleans()):
        entry["units"] = {name: draw(decimals(3, 5)) for name in draw(st.sets(st.sampled_from(UNITS), min_size=1))}
    if bands and draw(st.booleans()):
        entry["windows"] = draw(st.lists(windows(classes, dear), min_size=1, max_size=2))
    tiers: Data = {}
    for tier in draw(st.sets(st.sampled_from(("batch", "flex", "priority", "*")))):
        if draw(st.booleans()) and classes:
            tiers[tier] = draw(plans(classes, bands, dear))
        else:
            tiers[tier] = {"multiplier": draw(st.sampled_from(MULTIPLIERS) | decimals(6, 3))}
    if tiers:
        entry["service_tiers"] = tiers
    regions = [
        draw(region_prices(name, classes, tiers, bands, dear)) for name in draw(st.sets(st.sampled_from(REGIONS)))
    ]
    if regions:
        entry["regions"] = regions
    return {"effective_from": start, "jump": "random", "dropped": "random", **entry}


@st.composite
def region_prices(draw: st.DrawFn, name: str, classes: tuple[str, ...], tiers: Data, bands: bool, dear: bool) -> Data:
    """A multiplier, or prices of its own; with these, service tiers that have prices of their own come again."""
    if not classes or draw(st.booleans()):
        return {"match": [name], "multiplier": draw(st.sampled_from(MULTIPLIERS))}
    region = {"match": [name], **draw(plans(classes, bands, dear))}
    again = {tier: draw(plans(classes, bands, dear)) for tier, node in tiers.items() if "multiplier" not in node}
    return region | ({"service_tiers": again} if again else {})


@st.composite
def tenant_terms(draw: st.DrawFn, models: Data) -> list[Data]:
    """Discounts on all models or one, and prices of their own, from different days."""
    terms = []
    for model in draw(st.sets(st.sampled_from(("*", *sorted(models))))):
        for start in sorted(draw(st.sets(st.sampled_from(DATES), min_size=1, max_size=2))):
            term = {"provider": "vendor", "model": model, "effective_from": start, "reason": "random"}
            if model == "*" or draw(st.booleans()):
                terms.append(term | {"multiplier": draw(st.sampled_from(MULTIPLIERS))})
            else:
                terms.append(term | {"dropped": "at random"} | draw(plans(CLASSES[:6], True, False)))
    return terms


@st.composite
def books(draw: st.DrawFn, bands: bool = True, dear: bool = False) -> Data:
    """A book of one provider with a few models."""
    models = {}
    for number in range(draw(st.integers(1, 3))):
        starts = draw(st.sets(st.sampled_from(DATES), min_size=1))
        models[f"m{number}"] = {
            "tier": draw(st.sampled_from(("cheap", "standard", "premium"))),
            "entries": [draw(entries(start, bands, dear)) for start in sorted(starts)],
        }
    vendor = {"source": "https://example.com/prices", "checked": "2026-11-22", "models": models}
    book: Data = {"version": "random", "units": dict.fromkeys(UNITS, "a unit"), "providers": {"vendor": vendor}}
    tenants = {name: found for name in draw(st.sets(st.sampled_from(TENANTS))) if (found := draw(tenant_terms(models)))}
    return book | ({"tenants": tenants} if tenants else {})


def book_text(book: Data) -> str:
    """The book as the loader reads it."""
    return json.dumps(book, indent=1)


def usages(most: int = 5000) -> st.SearchStrategy[dict[str, int]]:
    """Counts of some classes; most books price most of them."""
    return st.dictionaries(st.sampled_from(CLASSES), st.sampled_from(COUNTS) | st.integers(0, most), max_size=4)


@st.composite
def events(draw: st.DrawFn, most: int = 5000) -> Data:
    """One event, as keyword arguments of price_event; unknown names among them."""
    return {
        "usage": draw(usages(most)),
        "provider": draw(st.sampled_from(("vendor", "vendor", "vendor", "nobody"))),
        "model": draw(st.sampled_from(("m0", "m0", "m1", "m2", "m9"))),
        "occurred_at_us": draw(st.sampled_from(MOMENTS_US) | st.integers(0, 2 * 10**15)),
        "service_tier": draw(st.sampled_from(("", "standard", "batch", "flex", "priority", "scale"))),
        "cache_hit": draw(st.booleans()),
        "region": draw(st.sampled_from(("", *REGIONS, "nowhere"))),
        "tenant": draw(st.sampled_from(("", *TENANTS, "nobody"))),
        "units": draw(st.dictionaries(st.sampled_from((*UNITS, "unheard_of")), st.integers(0, 9), max_size=2)),
    }
