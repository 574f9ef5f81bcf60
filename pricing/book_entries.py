"""Reads one dated entry of the price book: prices by class, bands, units, service tiers."""

import re
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Final

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from pricing.entries import (
    ANY_SERVICE_TIER,
    END_OF_TIME_US,
    PRICE_MAX_PICO_USD,
    SERVICE_TIERS,
    Band,
    Entry,
    Plan,
    Window,
    price_vector,
)
from pricing.hours import read_week_minutes
from pricing.money import pico_from_usd_per_million, scaled_int
from pricing.nodes import NodeReader
from pricing.usage import USAGE_CLASS_INDEX

_UNIT_PRICE_MAX_PICO_USD: Final = 10**15
_MULTIPLIER_MAX: Final = 100
_PRICED_BY: Final = ("prices", "units", "long_context")
_PLAN_KEYS: Final = (*_PRICED_BY, "windows", "service_tiers", "regions")
EXCUSES: Final = ("gap", "jump", "dropped")
"""Why an entry may leave a gap after it, differ tenfold from the one before, or lack a class that one had."""
# What remains of a price that passed through a binary float: 2.499999, 0.150001.
_FLOAT_NOISE: Final = re.compile(r"[1-9]\d*(0{3,}[1-9]|9{4,}\d?)")


def read_entry(
    reader: NodeReader, units: frozenset[str], name: str, node: Node, inherited: Mapping[str, Node | None]
) -> Entry | None:
    """The entry, or None where its date can't be read. Its end is the one it states; the caller sees what follows."""
    optional = ("effective_until", "source", "checked", *_PLAN_KEYS, *EXCUSES)
    values = reader.record(node, f"{name}.entries", ("effective_from",), optional)
    for excuse in EXCUSES:
        if excuse in values:
            reader.text(values[excuse], f"{name}.entries.{excuse}")
    return read_entry_values(reader, units, f"{name}.entries", name, (node, values), inherited)


def read_entry_values(
    reader: NodeReader,
    units: frozenset[str],
    key: str,
    name: str,
    found: tuple[Node, Mapping[str, Node]],
    inherited: Mapping[str, Node | None],
) -> Entry | None:
    """The entry from a record already taken apart; keys that are not an entry's are the caller's."""
    node, values = found
    start, end = read_span(reader, node, values, key)
    source, checked = (values.get(k) or inherited.get(k) for k in ("source", "checked"))
    source_text = reader.text(source, f"{key}.source") if source is not None else None
    if source_text is not None and not source_text.startswith("https://"):
        reader.complain(source or node, f"{key}.source", "must be an https:// address")
    if checked is not None:
        reader.instant_us(checked, f"{key}.checked")
    base = _read_plan(reader, units, key, node, values, None)
    plans = _read_plans(reader, units, key, values, base, {})
    regions = _read_regions(reader, units, f"{key}.regions", values, base, plans) if "regions" in values else {}
    if start is None:
        return None
    entry_id = f"{name}@{values['effective_from'].value}"
    checked_text = checked.value if isinstance(checked, ScalarNode) else ""
    until = END_OF_TIME_US if end is None else end
    return Entry(entry_id, start, until, plans, source_text or "", checked_text, regions)


def read_span(reader: NodeReader, node: Node, values: Mapping[str, Node], key: str) -> tuple[int | None, int | None]:
    """`effective_from` and `effective_until` in epoch microseconds; None where missing or wrong."""
    start, end = (
        reader.instant_us(values[name], f"{key}.{name}") if name in values else None
        for name in ("effective_from", "effective_until")
    )
    if start is not None and end is not None and end <= start:
        reader.complain(node, f"{key}.effective_until", "is not after effective_from")
    return start, end


def _read_plans(
    reader: NodeReader,
    units: frozenset[str],
    key: str,
    values: Mapping[str, Node],
    base: Plan,
    inherited_tiers: Mapping[str, Node],
) -> dict[str, Plan]:
    """The plan of each service tier; tiers not given here are taken over from `inherited_tiers`."""
    if "windows" in values:
        base = _read_windows(reader, units, f"{key}.windows", values["windows"], base)
    plans = {"standard": base}
    given = reader.mapping(values["service_tiers"], f"{key}.service_tiers") if "service_tiers" in values else {}
    for tier, node in {**inherited_tiers, **given}.items():
        plans[tier] = _read_service_tier(reader, units, f"{key}.service_tiers.{tier}", tier, node, base)
    return plans


def _read_regions(
    reader: NodeReader,
    units: frozenset[str],
    key: str,
    values: Mapping[str, Node],
    base: Plan,
    plans: Mapping[str, Plan],
) -> dict[str, Mapping[str, Plan]]:
    """By region: the entry's plans multiplied, or prices of its own. A service tier that is a multiplier applies to
    those too; one with prices of its own must be given again."""
    tiers = reader.mapping(values["service_tiers"], key) if "service_tiers" in values else {}
    regions: dict[str, Mapping[str, Plan]] = {}
    for node in reader.items(values["regions"], key):
        own = reader.record(node, key, ("match",), ("multiplier", *_PLAN_KEYS[:-1]))
        names = _read_region_names(reader, own, key, regions)
        if "multiplier" in own:
            if len(own) > 2:
                reader.complain(node, key, "has a multiplier, so no prices")
            multiplier = read_multiplier(reader, own["multiplier"], f"{key}.multiplier")
            found: Mapping[str, Plan] = {tier: plan.times(multiplier) for tier, plan in plans.items()}
        else:
            here = _read_plan(reader, units, key, node, own, base)
            again = reader.mapping(own["service_tiers"], key) if "service_tiers" in own else {}
            multiplied = {tier: tier_node for tier, tier_node in tiers.items() if _is_multiplier(tier_node)}
            for tier in sorted(set(tiers) - set(multiplied) - set(again)):
                reader.complain(
                    node, f"{key}.service_tiers.{tier}", "is missing: it has prices of its own in the entry"
                )
            found = _read_plans(reader, units, key, own, here, multiplied)
        regions |= dict.fromkeys(names, found)
    return regions


def _is_multiplier(node: Node) -> bool:
    return isinstance(node, MappingNode) and any(name.value == "multiplier" for name, _ in node.value)


def _read_region_names(reader: NodeReader, own: Mapping[str, Node], key: str, known: Mapping[str, object]) -> list[str]:
    """Names as events give them, whole."""
    match = own.get("match")
    nodes = [] if match is None else (list(match.value) if isinstance(match, SequenceNode) else [match])
    names = [name for node in nodes if (name := reader.text(node, f"{key}.match"))]
    for name in names:
        if name in known or names.count(name) > 1:
            reader.complain(nodes[0], f"{key}.match", f"region {name!r} is given twice")
    return names


def _read_service_tier(reader: NodeReader, units: frozenset[str], key: str, tier: str, node: Node, base: Plan) -> Plan:
    """A multiplier on the entry's token prices in every window, or prices of its own at every hour."""
    if tier not in (*SERVICE_TIERS[1:], ANY_SERVICE_TIER):
        reader.complain(node, key, f"unknown service tier; known are {', '.join(SERVICE_TIERS[1:])} and *")
    values = reader.record(node, key, (), ("multiplier", *_PRICED_BY))
    return _read_variant(reader, units, key, node, values, base)


def _read_windows(reader: NodeReader, units: frozenset[str], key: str, node: Node, base: Plan) -> Plan:
    """The base plan with windows: a multiplier on the entry's token prices, or prices of their own."""
    windows = []
    for window_node in reader.items(node, key):
        values = reader.record(window_node, key, ("from", "to"), ("days", "multiplier", *_PRICED_BY))
        minutes = read_week_minutes(reader, values, key)
        priced = {name: value for name, value in values.items() if name not in ("from", "to", "days")}
        windows.append(Window(minutes, _read_variant(reader, units, key, window_node, priced, base)))
    return replace(base, windows=tuple(windows))


def _read_variant(
    reader: NodeReader, units: frozenset[str], key: str, node: Node, values: Mapping[str, Node], base: Plan
) -> Plan:
    """A multiplier, or prices of its own. Units cost what they cost in the entry unless it says otherwise."""
    if "multiplier" not in values:
        return _read_plan(reader, units, key, node, values, base)
    if len(values) > 1:
        reader.complain(node, key, "has a multiplier, so no prices")
    return base.times(read_multiplier(reader, values["multiplier"], f"{key}.multiplier"))


def read_multiplier(reader: NodeReader, node: Node, key: str) -> Fraction:
    """A quoted decimal from 0 to 100; 1 stands in for one that was complained about."""
    text = reader.quoted(node, key)
    if text is None:
        return Fraction(1)
    try:
        value = Fraction(scaled_int(text, 6), 10**6)
    except ValueError as error:
        reader.complain(node, key, str(error))
        return Fraction(1)
    if not 0 <= value <= _MULTIPLIER_MAX:
        reader.complain(node, key, f"must be from 0 to {_MULTIPLIER_MAX}")
        return Fraction(1)
    return value


def _read_plan(
    reader: NodeReader, units: frozenset[str], key: str, node: Node, values: Mapping[str, Node], base: Plan | None
) -> Plan:
    prices = _read_prices(reader, values["prices"], f"{key}.prices") if "prices" in values else {}
    unit_prices: Mapping[str, int] = {} if base is None else base.unit_prices
    if "units" in values:
        unit_prices = _read_units(reader, units, values["units"], f"{key}.units")
    if not values.keys() & {"prices", "units"}:
        reader.complain(node, key, "prices nothing: needs prices, units, or for a service tier a multiplier")
    if base is not None and "prices" in values:
        have = {name for name, i in USAGE_CLASS_INDEX.items() if base.bands[0].prices[i] is not None}
        _same_classes(reader, values["prices"], f"{key}.prices", have, set(prices))
    bands = [Band(0, price_vector(prices))]
    for band_node in reader.items(values["long_context"], f"{key}.long_context") if "long_context" in values else []:
        band = _read_band(reader, band_node, f"{key}.long_context", prices)
        if band is not None and band.above_prompt_tokens <= bands[-1].above_prompt_tokens:
            reader.complain(band_node, f"{key}.long_context", "thresholds must ascend")
        elif band is not None:
            bands.append(band)
    return Plan(tuple(bands), unit_prices)


def _read_band(reader: NodeReader, node: Node, key: str, base: Mapping[str, int]) -> Band | None:
    values = reader.record(node, key, ("above_prompt_tokens", "prices"))
    if len(values) < 2:
        return None
    above = reader.positive_integer(values["above_prompt_tokens"], f"{key}.above_prompt_tokens")
    prices = _read_prices(reader, values["prices"], f"{key}.prices")
    _same_classes(reader, values["prices"], f"{key}.prices", set(base), set(prices))
    return None if above is None else Band(above, price_vector(prices))


def _same_classes(reader: NodeReader, node: Node, key: str, wanted: set[str], given: set[str]) -> None:
    """A band or service tier that lacked a class would make a call unpriced by crossing into it."""
    for name in sorted(wanted - given):
        reader.complain(node, f"{key}.{name}", "is missing: the entry's own prices have it")
    for name in sorted(given - wanted):
        reader.complain(node, f"{key}.{name}", "is priced here but not in the entry's own prices")


def _read_prices(reader: NodeReader, node: Node, key: str) -> dict[str, int]:
    """Pico-USD per token by class. A value that names another class is that class's price."""
    values = reader.mapping(node, key)
    prices: dict[str, int] = {}
    references: dict[str, str] = {}
    for name, value in values.items():
        if name not in USAGE_CLASS_INDEX:
            reader.complain(value, f"{key}.{name}", f"unknown usage class; known are {', '.join(USAGE_CLASS_INDEX)}")
        elif isinstance(value, ScalarNode) and value.value in USAGE_CLASS_INDEX:
            references[name] = value.value
        else:
            prices[name] = _read_price(reader, value, f"{key}.{name}")
    for name, target in references.items():
        if target not in prices:
            state = "falls back itself" if target in references else "has no price here"
            reader.complain(values[name], f"{key}.{name}", f"falls back to {target}, which {state}")
    return prices | {name: prices.get(target, 0) for name, target in references.items()}


def _read_price(reader: NodeReader, node: Node, key: str) -> int:
    """USD per million tokens as a quoted decimal string; 0 stands in for one that was complained about."""
    text = reader.quoted(node, key)
    if text is None:
        return 0
    try:
        price = pico_from_usd_per_million(text)
    except ValueError as error:
        reader.complain(node, key, str(error))
        return 0
    if "." in text and len(text.partition(".")[2]) == 6 and _FLOAT_NOISE.fullmatch(text.replace(".", "").lstrip("0")):
        reader.complain(node, key, f"{text} looks like the noise of a binary float: give it as the vendor prints it")
    if price > PRICE_MAX_PICO_USD:
        reader.complain(node, key, f"{text} USD per million tokens is beyond what a token can cost")
    return price


def _read_units(reader: NodeReader, units: frozenset[str], node: Node, key: str) -> dict[str, int]:
    """Pico-USD per unit: "0.01" is per one unit, {usd: "10.00", per: 1000} as vendors print it."""
    prices: dict[str, int] = {}
    for name, value in reader.mapping(node, key).items():
        if name not in units:
            reader.complain(value, f"{key}.{name}", f"unknown unit; the book declares {', '.join(sorted(units))}")
        prices[name] = _read_unit_price(reader, value, f"{key}.{name}")
    return prices


def _read_unit_price(reader: NodeReader, node: Node, key: str) -> int:
    per: int | None = 1
    price_node: Node | None = node
    if isinstance(node, MappingNode):
        values = reader.record(node, key, ("usd", "per"))
        price_node = values.get("usd")
        per = reader.positive_integer(values["per"], f"{key}.per") if "per" in values else None
    text = reader.quoted(price_node, key) if price_node is not None else None
    if text is None or per is None:
        return 0
    try:
        price, rest = divmod(scaled_int(text, 12), per)
    except ValueError as error:
        reader.complain(node, key, str(error))
        return 0
    if rest or not 0 <= price <= _UNIT_PRICE_MAX_PICO_USD:
        reader.complain(node, key, f"{text} USD per {per} must be exact in 10^-12 USD, not negative, at most 1,000 USD")
    return price
