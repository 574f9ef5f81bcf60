"""Reads what tenants pay instead of the list price: dated overrides and discounts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from yaml.nodes import Node

from pricing.book_entries import read_entry_values, read_multiplier, read_span
from pricing.entries import END_OF_TIME_US, Entry, ModelPrices, Plan, ProviderPrices, Term
from pricing.nodes import NodeReader
from pricing.usage import USAGE_CLASSES

_ENTRY_KEYS = ("prices", "units", "long_context", "windows", "service_tiers", "regions")


@dataclass(frozen=True, slots=True)
class _Read:
    """A term as it was read, and who complains about it where."""

    provider: str
    term: Term
    reader: NodeReader
    key: str
    node: Node


def read_terms(
    reader: NodeReader,
    units: frozenset[str],
    tenants: Node | None,
    overrides: Node | None,
    providers: Mapping[str, ProviderPrices],
) -> dict[str, dict[str, tuple[Term, ...]]]:
    """Terms by tenant and provider, those of the book's `tenants` and the overrides beside it. Each names a provider, a
    model of it or "*", dates and a reason; then a multiplier, or prices as an entry has them."""
    sources = (("tenants", tenants, reader), ("overrides", overrides, NodeReader(reader.problems, has_lines=False)))
    listed: dict[str, list[_Read]] = {}
    for root_key, root, one in sources:
        for tenant, list_node in one.mapping(root, root_key).items() if root is not None else ():
            key = f"{root_key}.{tenant}"
            read = [_read(one, units, key, tenant, item, providers) for item in one.items(list_node, key)]
            listed.setdefault(tenant, []).extend(found for found in read if found is not None)
    return {tenant: _by_provider(read) for tenant, read in listed.items()}


def _by_provider(read: list[_Read]) -> dict[str, tuple[Term, ...]]:
    own: dict[str, list[Term]] = {}
    for one in read:
        same = [other.term for other in read if (other.provider, other.term.model) == (one.provider, one.term.model)]
        own.setdefault(one.provider, []).append(_closed(one.reader, one.key, one.node, one.term, same))
    return {provider: tuple(terms) for provider, terms in own.items()}


def _read(
    reader: NodeReader,
    units: frozenset[str],
    key: str,
    tenant: str,
    node: Node,
    providers: Mapping[str, ProviderPrices],
) -> _Read | None:
    required = ("provider", "model", "effective_from", "reason")
    values = reader.record(node, key, required, ("effective_until", "multiplier", "dropped", *_ENTRY_KEYS))
    for said in ("reason", "dropped"):
        if said in values:
            reader.text(values[said], f"{key}.{said}")
    provider = reader.one_of(values["provider"], f"{key}.provider", providers) if "provider" in values else None
    if provider is None or "model" not in values:
        return None
    model = reader.one_of(values["model"], f"{key}.model", ("*", *providers[provider].models))
    if model is None:
        return None
    name = f"{tenant}:{provider}/{model}"
    if "multiplier" in values:
        discount = _discount(reader, key, name, (node, values), providers[provider], model)
        return _Read(provider, discount, reader, key, node)
    if model == "*":
        reader.complain(node, key, "prices of its own need a model; for all models there is only a multiplier")
    entry = read_entry_values(reader, units, key, name, (node, values), {})
    if entry is None:
        return None
    if model in providers[provider].models and "dropped" not in values:
        _same_as_list(reader, key, node, entry, providers[provider].models[model])
    term = Term(entry.entry_id, model, entry.effective_from_us, entry.effective_until_us, None, entry)
    return _Read(provider, term, reader, key, node)


def _same_as_list(reader: NodeReader, key: str, node: Node, entry: Entry, listed: ModelPrices) -> None:
    """What the list prices, a term must price too, unless it says why not in `dropped`: such a call has no price."""
    for known in listed.entries:
        if known.effective_from_us >= entry.effective_until_us or known.effective_until_us <= entry.effective_from_us:
            continue
        missing = f"is missing: the list price has it ({known.entry_id})"
        for tier in sorted(known.plans.keys() - entry.plans.keys()):
            reader.complain(
                node, f"{key}.service_tiers.{tier}", f"is missing: the list price has it ({known.entry_id})"
            )
        theirs, ours = (one.plans["standard"].bands[0].prices for one in (known, entry))
        for name, price, own in zip(USAGE_CLASSES, theirs, ours, strict=True):
            if price is not None and own is None:
                reader.complain(node, f"{key}.prices.{name}", missing)
        for unit in sorted(known.plans["standard"].unit_prices.keys() - entry.plans["standard"].unit_prices.keys()):
            reader.complain(node, f"{key}.units.{unit}", missing)


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
