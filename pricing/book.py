"""Reads and checks price_book.yaml: all that is wrong with it is told at once, and a wrong book is no book."""

import hashlib
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import yaml
from yaml.nodes import MappingNode, Node, SequenceNode

from pricing.book_entries import read_entry
from pricing.book_neighbours import compare_neighbours
from pricing.book_terms import read_terms
from pricing.entries import END_OF_TIME_US, TIERS, Entry, ModelPrices, PrefixRule, PriceBook, ProviderPrices
from pricing.nodes import NodeReader, Problem

DEFAULT_BOOK_PATH: Final = Path(__file__).with_name("price_book.yaml")
BOOK_BYTES_MAX: Final = 16_000_000
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class PriceBookError(ValueError):
    """The book is wrong. `problems` lists everything, `str()` is one `path:line: key: message` a line."""

    def __init__(self, path: Path, problems: list[Problem]) -> None:
        self.path = path
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(f"{_place(path, p)}: {p.key}: {p.message}" for p in self.problems))


def _place(path: Path, problem: Problem) -> str:
    return f"{path}:{problem.line}" if problem.line else str(path)


def load_book(path: str | Path = DEFAULT_BOOK_PATH) -> PriceBook:
    """Read, check and compile a price book file. PriceBookError with every problem if anything at all is wrong."""
    return read_book(read_text(path), Path(path))


def read_text(path: str | Path) -> str:
    """The text of a price book file; PriceBookError where it can't be read, is no UTF-8 or beyond BOOK_BYTES_MAX."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            content = file.read(BOOK_BYTES_MAX + 1)
        text = content.decode("utf-8")
    except OSError as error:
        raise PriceBookError(path, [Problem(0, "file", f"cannot be read: {error.strerror or error}")]) from error
    except UnicodeDecodeError as error:
        raise PriceBookError(path, [Problem(1, "file", f"is not UTF-8: {error.reason} at {error.start}")]) from error
    if len(content) > BOOK_BYTES_MAX:
        raise PriceBookError(path, [Problem(1, "file", f"is larger than {BOOK_BYTES_MAX} bytes")])
    return text


def read_book(text: str, path: Path = Path("price_book.yaml"), overrides: str = "") -> PriceBook:
    """Check and compile the text of a price book; `path` is what the problems are told by.

    `overrides` are further terms of tenants, a text like what stands under `tenants`; their problems have no line and
    keys that begin with "overrides". The version is the one the text declares and a digest of it all, overrides too: no
    two books have the same.
    """
    root = _compose(text, path)
    added = _compose(overrides, path, "overrides") if overrides else None
    reader = NodeReader()
    book = _read_book(reader, root, added, _digests(text, overrides)) if root is not None else None
    if book is None:
        reader.problems.append(Problem(1, "file", "is empty"))
    if book is None or reader.problems:
        raise PriceBookError(path, reader.problems)
    return book


def _compose(text: str, path: Path, key: str = "yaml") -> Node | None:
    try:
        root: Node | None = yaml.compose(text, Loader=_LOADER)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        message = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise PriceBookError(path, [Problem(mark.line + 1 if mark else 1, key, message)]) from error
    return root


def _digests(*texts: str) -> str:
    file, overrides = (hashlib.sha256(text.encode()).hexdigest()[:8] for text in texts)
    return f"{file}+overrides.{overrides}" if texts[1] else file


def _read_book(reader: NodeReader, root: Node, overrides: Node | None, digest: str) -> PriceBook:
    values = reader.record(root, "book", ("version", "units", "providers"), ("provider_aliases", "tenants"))
    version = reader.text(values["version"], "version") if "version" in values else None
    units: dict[str, Node] = reader.mapping(values["units"], "units") if "units" in values else {}
    for name, node in units.items():
        reader.text(node, f"units.{name}")
    provider_nodes = reader.mapping(values["providers"], "providers") if "providers" in values else {}
    read = partial(_read_provider, reader, frozenset(units))
    providers = {name: read(name, node) for name, node in provider_nodes.items()}
    aliases: dict[str, str] = {}
    if "provider_aliases" in values:
        for node in reader.items(values["provider_aliases"], "provider_aliases"):
            _read_rule(reader, node, "provider_aliases", "provider", providers, aliases, [])
    terms = read_terms(reader, frozenset(units), values.get("tenants"), overrides, providers)
    entries = [
        entry for provider in providers.values() for model in provider.models.values() for entry in model.entries
    ]
    entries += [term.entry for own in terms.values() for apt in own.values() for term in apt if term.entry]
    regions = frozenset(region for entry in entries for region in entry.regions)
    return PriceBook(f"{version}+{digest}", frozenset(units), providers, aliases, terms, regions)


def _read_provider(reader: NodeReader, units: frozenset[str], name: str, node: Node) -> ProviderPrices:
    values = reader.record(node, name, ("source", "checked", "models"), ("rules",))
    models: dict[str, ModelPrices] = {}
    if "models" in values:
        for model, model_node in reader.mapping(values["models"], f"{name}.models").items():
            models[model] = _read_model(reader, units, f"{name}/{model}", model_node, values)
    exact: dict[str, str] = {}
    prefixes: list[PrefixRule] = []
    spellings: list[str] = []
    for rule in reader.items(values["rules"], f"{name}.rules") if "rules" in values else []:
        if isinstance(rule, MappingNode) and any(key.value == "spelling" for key, _ in rule.value):
            _read_spelling(reader, rule, f"{name}.rules", spellings)
        else:
            _read_rule(reader, rule, f"{name}.rules", "model", models, exact, prefixes)
    return ProviderPrices(name, models, exact, tuple(prefixes), tuple(spellings))


def _read_spelling(reader: NodeReader, node: Node, key: str, spellings: list[str]) -> None:
    """What may stand before a model's name, ending in a slash: it says where the call went, not what it costs."""
    values = reader.record(node, key, ("spelling", "reason"))
    if "reason" in values:
        reader.text(values["reason"], f"{key}.reason")
    text = reader.text(values["spelling"], f"{key}.spelling") if "spelling" in values else None
    if text is None:
        return
    if not text.endswith("/") or text == "/":
        reader.complain(
            node, f"{key}.spelling", f"{text!r} must end in a slash: only a whole part of a name is left out"
        )
    elif any(text.startswith(earlier) for earlier in spellings):
        reader.complain(node, f"{key}.spelling", f"{text!r} is never reached: an earlier spelling takes it")
    else:
        spellings.append(text)


def _read_model(
    reader: NodeReader, units: frozenset[str], name: str, node: Node, provider: dict[str, Node]
) -> ModelPrices:
    values = reader.record(node, name, ("tier", "entries"), ("source", "checked"))
    tier = reader.one_of(values["tier"], f"{name}.tier", TIERS) if "tier" in values else None
    inherited = {key: values.get(key, provider.get(key)) for key in ("source", "checked")}
    entries: list[tuple[Entry, Node]] = []
    for entry_node in reader.items(values["entries"], f"{name}.entries") if "entries" in values else []:
        entry = read_entry(reader, units, name, entry_node, inherited)
        if entry is not None:
            entries.append((entry, entry_node))
    ordered = _half_open(reader, name, entries)
    return ModelPrices(name, tier or "", ordered, tuple(entry.effective_from_us for entry in ordered))


def _half_open(reader: NodeReader, name: str, entries: list[tuple[Entry, Node]]) -> tuple[Entry, ...]:
    """Close each entry where the next begins, and look at each beside the one before it."""
    ordered = sorted(entries, key=lambda pair: pair[0].effective_from_us)
    for (before, before_node), (after, after_node) in pairwise(ordered):
        compare_neighbours(reader, f"{name}.entries", (before, before_node), (after, after_node))
    ends = [entry.effective_from_us for entry, _ in ordered[1:]] + [END_OF_TIME_US]
    return tuple(
        replace(entry, effective_until_us=min(entry.effective_until_us, end))
        for (entry, _), end in zip(ordered, ends, strict=False)
    )


def _read_rule(
    reader: NodeReader,
    node: Node,
    key: str,
    target_key: str,
    targets: dict[str, Any],
    exact: dict[str, str],
    prefixes: list[PrefixRule],
) -> None:
    """`match` is a name, a list of names, or a prefix ending in `*` (models only); `reason` says why it may."""
    values = reader.record(node, key, ("match", target_key, "reason"))
    target = reader.one_of(values[target_key], f"{key}.{target_key}", targets) if target_key in values else None
    reason = reader.text(values["reason"], f"{key}.reason") if "reason" in values else None
    match = values.get("match")
    nodes = [] if match is None else (list(match.value) if isinstance(match, SequenceNode) else [match])
    for name_node in nodes:
        if isinstance(name_node, MappingNode):
            reader.complain(name_node, f"{key}.match", "must be a name, a list of names, or a prefix ending in *")
            continue
        pattern = reader.text(name_node, f"{key}.match")
        if pattern is None or target is None or reason is None:
            continue
        prefix = pattern[:-1]
        if "*" in prefix or (pattern.endswith("*") and target_key == "provider"):
            reader.complain(name_node, f"{key}.match", f"{pattern!r}: only a model rule may end in a single *")
        elif pattern in targets or pattern in exact:
            reader.complain(name_node, f"{key}.match", f"{pattern!r} is already a {target_key} or matched by a rule")
        elif not pattern.endswith("*"):
            exact[pattern] = target
        elif any(prefix.startswith(earlier.prefix) for earlier in prefixes):
            reader.complain(name_node, f"{key}.match", f"{pattern!r} is never reached: an earlier prefix takes it")
        else:
            prefixes.append(PrefixRule(prefix, target, reason))
