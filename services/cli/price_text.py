"""The price book as text: what is there stays letter for letter, new entries are put in behind it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

import yaml
from yaml.nodes import MappingNode, Node, SequenceNode

from services.cli.price_list import ListedEntry, ListedModel, ListedPlan, Prices

_CHEAP_BELOW, _PREMIUM_FROM = Decimal(2), Decimal(20)


@dataclass(frozen=True, slots=True)
class Insertion:
    """Lines to put in behind a line of the text (counted from 1)."""

    after_line: int
    lines: tuple[str, ...]


def with_models(text: str, models: Iterable[ListedModel], since: str, checked: str) -> str:
    """The book's text with these models behind those of their providers; new providers at the end of the file.

    An entry that the list doesn't date begins at `since`. All are marked as checked on `checked`.
    """
    by_provider: dict[str, list[ListedModel]] = {}
    for model in models:
        by_provider.setdefault(model.provider, []).append(model)
    root = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    providers = _children(_children(root)["providers"])
    insertions, new = [], []
    for provider, found in sorted(by_provider.items()):
        lines = [line for model in found for line in model_lines(model, since, checked)]
        if provider in providers:
            insertions.append(Insertion(_last_line(_children(providers[provider])["models"]), tuple(lines)))
        else:
            new += provider_lines(provider, found, checked, lines)
    insertions.append(Insertion(_last_line(_children(root)["providers"]), tuple(new)))
    return _inserted(text, insertions)


def with_entries(
    text: str, provider: str, model: str, entries: Iterable[ListedEntry], source: str, checked: str
) -> str:
    """The book's text with entries behind those of a model."""
    root = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    there = _children(_children(_children(_children(_children(root)["providers"])[provider])["models"])[model])[
        "entries"
    ]
    lines = [line for entry in entries for line in entry_lines(entry, "", source, checked)]
    return _inserted(text, [Insertion(_last_line(there), tuple(lines))])


def provider_lines(provider: str, models: list[ListedModel], checked: str, lines: list[str]) -> list[str]:
    """A provider that is new to the book, with rules for the other names its models have in the list."""
    head = ["", f"  {provider}:", f"    source: {models[0].source}", f"    checked: {checked}"]
    taken = {model.name for model in models}
    rules = []
    for model in models:
        names = [name for name in model.other_names if name not in taken]
        taken.update(names)
        if names:
            rules.append(
                f"      - {{match: {json.dumps(names)}, model: {json.dumps(model.name)}, "
                'reason: "another name of the model, matched whole in the open list"}'
            )
    return [*head, *(["    rules:", *rules] if rules else []), "    models:", *lines]


def model_lines(model: ListedModel, since: str, checked: str) -> list[str]:
    """A model with its entries."""
    price = model.entries[-1].plan.bands[0][1]
    dearest = max(price.values(), default=Decimal(0))
    tier = "cheap" if dearest < _CHEAP_BELOW else "premium" if dearest >= _PREMIUM_FROM else "standard"
    lines = [f"      {json.dumps(model.name)}:", f"        tier: {tier}", "        entries:"]
    for entry in model.entries:
        lines += entry_lines(entry, since, model.source, checked)
    return lines


def entry_lines(entry: ListedEntry, since: str, source: str, checked: str) -> list[str]:
    """One dated entry with where it is from."""
    lines = [
        f"          - effective_from: {entry.since or since}",
        f"            source: {source}",
        f"            checked: {checked}",
    ]
    if entry.plan.bands[0][1]:
        lines.append(f"            prices: {_prices(entry.plan.bands[0][1])}")
    if entry.units:
        units = ", ".join(f'{name}: {{usd: "{_plain(usd)}", per: {per}}}' for name, (usd, per) in entry.units.items())
        lines.append(f"            units: {{{units}}}")
    lines += _bands(entry.plan, "            ")
    if entry.tiers:
        lines.append("            service_tiers:")
    for tier, plan in sorted(entry.tiers.items()):
        lines += [f"              {tier}:", f"                prices: {_prices(plan.bands[0][1])}"]
        lines += _bands(plan, "                ")
    return lines


def _bands(plan: ListedPlan, indent: str) -> list[str]:
    lines = [
        f"{indent}  - {{above_prompt_tokens: {above}, prices: {_prices(prices)}}}" for above, prices in plan.bands[1:]
    ]
    return [f"{indent}long_context:", *lines] if lines else []


def _prices(prices: Prices) -> str:
    """Reasoning is billed as output, an image as the prompt, unless the list says otherwise."""
    texts = {name: f'"{_plain(price)}"' for name, price in prices.items()}
    if "output_text" in texts:
        texts.setdefault("output_reasoning", "output_text")
    if "input_uncached" in texts:
        texts.setdefault("input_image", "input_uncached")
    if "cache_write_5m" in texts:
        texts.setdefault("cache_write_1h", "cache_write_5m")
    return "{" + ", ".join(f"{name}: {text}" for name, text in texts.items()) + "}"


def _plain(price: Decimal) -> str:
    return f"{price.normalize():f}"


def _children(node: Node | None) -> Mapping[str, Node]:
    assert isinstance(node, MappingNode)
    return {key.value: value for key, value in node.value}


def _last_line(node: Node) -> int:
    """The line (from 1) on which the node's last letter stands; a block's own mark lies behind blank lines."""
    if isinstance(node, MappingNode) and not node.flow_style and node.value:
        return max(_last_line(value) for _, value in node.value)
    if isinstance(node, SequenceNode) and not node.flow_style and node.value:
        return max(_last_line(value) for value in node.value)
    return int(node.end_mark.line) + 1


def _inserted(text: str, insertions: Iterable[Insertion]) -> str:
    lines = text.splitlines()
    for insertion in sorted(insertions, key=lambda one: one.after_line, reverse=True):
        lines[insertion.after_line : insertion.after_line] = insertion.lines
    return "\n".join(lines) + "\n"
