"""Reads what tenants pay instead of the list price: dated overrides and discounts."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

from yaml.nodes import Node

from pricing.book_entries import read_entry_values, read_multiplier, read_span
from pricing.entries import END_OF_TIME_US, Plan, ProviderPrices, Term
from pricing.nodes import NodeReader

_ENTRY_KEYS = ("prices", "units", "long_context", "windows", "service_tiers", "regions")


def read_terms(
    reader: NodeReader, units: frozenset[str], node: Node, providers: Mapping[str, ProviderPrices]
) -> dict[str, dict[str, tuple[Term, ...]]]:
    """Terms by tenant and provider. Each names a provider, a model of it or "*", dates and a reason; then a multiplier,
    or prices as an entry has them."""
    terms: dict[str, dict[str, tuple[Term, ...]]] = {}
    for tenant, list_node in reader.mapping(node, "tenants").items():
        key = f"tenants.{tenant}"
        read = [
            (found, item)
            for item in reader.items(list_node, key)
            if (found := _read(reader, units, key, item, providers))
        ]
        own: dict[str, list[Term]] = {}
        for (provider, term), item in read:
            same = [other for (name, other), _ in read if (name, other.model) == (provider, term.model)]
            own.setdefault(provider, []).append(_closed(reader, key, item, term, same))
        terms[tenant] = {provider: tuple(found) for provider, found in own.items()}
    return terms


def _read(
    reader: NodeReader, units: frozenset[str], key: str, node: Node, providers: Mapping[str, ProviderPrices]
) -> tuple[str, Term] | None:
    required = ("provider", "model", "effective_from", "reason")
    values = reader.record(node, key, required, ("effective_until", "multiplier", *_ENTRY_KEYS))
    if "reason" in values:
        reader.text(values["reason"], f"{key}.reason")
    provider = reader.one_of(values["provider"], f"{key}.provider", providers) if "provider" in values else None
    if provider is None or "model" not in values:
        return None
    model = reader.one_of(values["model"], f"{key}.model", ("*", *providers[provider].models))
    if model is None:
        return None
    name = f"{key.removeprefix('tenants.')}:{provider}/{model}"
    if "multiplier" in values:
        return provider, _discount(reader, key, name, (node, values), providers[provider], model)
    if model == "*":
        reader.complain(node, key, "prices of its own need a model; for all models there is only a multiplier")
    entry = read_entry_values(reader, units, key, name, (node, values), {})
    if entry is None:
        return None
    term = Term(entry.entry_id, model, entry.effective_from_us, entry.effective_until_us, None, entry)
    return provider, term


def _discount(
    reader: NodeReader,
    key: str,
    name: str,
    found: tuple[Node, Mapping[str, Node]],
    provider: ProviderPrices,
    model: str,
) -> Term:
    node, values = found
    if any(name in values for name in _ENTRY_KEYS):
        reader.complain(node, key, "has a multiplier, so no prices")
    start, end = read_span(reader, node, values, key)
    multiplier = read_multiplier(reader, values["multiplier"], f"{key}.multiplier")
    for priced in provider.models.values() if model == "*" else [provider.models[model]]:
        _refuse_inexact(reader, node, key, priced.name, multiplier, [p for e in priced.entries for p in e.every_plan()])
    since = values["effective_from"].value if "effective_from" in values else ""
    until = END_OF_TIME_US if end is None else end
    return Term(f"{name}@{since}", model, start or 0, until, multiplier, None)


def _refuse_inexact(
    reader: NodeReader, node: Node, key: str, name: str, multiplier: Fraction, plans: list[Plan]
) -> None:
    """A unit is billed by whole numbers of 10^-12 USD each."""
    units = sorted(
        {unit for plan in plans for unit, price in plan.unit_prices.items() if (price * multiplier).denominator > 1}
    )
    for unit in units:
        reader.complain(node, f"{key}.multiplier", f"makes a price of {name} inexact: {unit}")


def _closed(reader: NodeReader, key: str, node: Node, term: Term, same: list[Term]) -> Term:
    """The term up to where the next for the same begins."""
    later = [other.effective_from_us for other in same if other.effective_from_us > term.effective_from_us]
    following = min(later, default=END_OF_TIME_US)
    twice = sum(other.effective_from_us == term.effective_from_us for other in same) > 1
    if twice or END_OF_TIME_US > term.effective_until_us > following:
        reader.complain(node, key, "overlaps the term after it")
    return replace(term, effective_until_us=min(term.effective_until_us, following))
