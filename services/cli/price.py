"""`spendstream price`: check the book, show what a model costs, take over prices from a maintained open list."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from pricing.book import DEFAULT_BOOK_PATH, PriceBookError, load_book, read_book, read_text
from pricing.check import main as check_book
from pricing.entries import END_OF_TIME_US, Entry, ModelPrices, PriceBook
from pricing.money import pico_from_usd_per_million, usd_string
from pricing.usage import USAGE_CLASSES
from services.cli.operating import show_json
from services.cli.price_list import ListedEntry, ListedModel, listed_models
from services.cli.price_text import model_lines, provider_lines, with_entries, with_models

_DAY_US = 86_400_000_000
_BOOK = click.option(
    "--book", "path", type=click.Path(path_type=Path), default=DEFAULT_BOOK_PATH, help="The price book's file."
)

_JSON = click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")


@click.group(help="The price book: check it, look into it, take over prices from an open list.")
def price() -> None:
    """Groups the subcommands."""


@price.command(help="Is the book right? One line for each problem.")
@_BOOK
@_JSON
def check(path: Path, as_json: bool) -> None:
    if not as_json:
        sys.exit(check_book([str(path)]))
    try:
        book = load_book(path)
    except PriceBookError as error:
        problems = [
            {"key": problem.key, "line": problem.line, "message": problem.message} for problem in error.problems
        ]
        show_json({"right": False, "problems": problems})
        sys.exit(1)
    models = sum(len(provider.models) for provider in book.providers.values())
    show_json({"right": True, "version": book.version, "providers": len(book.providers), "models": models})


@price.command(help="What a model costs, with its history.")
@click.argument("model")
@click.option("--provider", help="Only this provider's.")
@_BOOK
@_JSON
def show(model: str, provider: str | None, path: Path, as_json: bool) -> None:
    book = _load(path)
    found = [
        (name, prices) for name in book.providers if provider in (None, name) and (prices := book.find(name, model))
    ]
    if not found:
        raise click.ClickException(f"the book has no price for {model!r}: calls of it are counted as unpriced")
    if as_json:
        show_json([_as_json(name, prices) for name, prices in found])
        return
    for name, prices in found:
        click.echo(
            f"{prices.name} ({prices.tier}){'' if prices.name == f'{name}/{model}' else f', also named {model}'}"
        )
        for entry in prices.entries:
            click.echo(f"  {_dates(entry)}  {_said(entry)}  {entry.source}")


def _checked_day(_context: click.Context, _option: click.Parameter, text: str) -> str:
    try:
        date.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no day: 2026-01-31") from None
    return text


@price.command("import", help="Compare with genai-prices and add what is new. Existing entries are never touched.")
@_BOOK
@click.option("--provider", "wanted", multiple=True, help="Only these providers, by the book's names; else all it has.")
@click.option(
    "--since",
    default="2026-01-01",
    callback=_checked_day,
    help="When prices begin that the list doesn't date.",
    show_default=True,
)
@click.option("--write", is_flag=True, help="Write the book; else only say what would be new.")
@click.option("--matching", default="", help="Only models whose names begin with one of these, separated by commas.")
@_JSON
def import_(path: Path, wanted: tuple[str, ...], since: str, write: bool, matching: str, as_json: bool) -> None:
    text, book = read_text(path), _load(path)
    today = datetime.now(UTC).date()
    prefixes = tuple(prefix for prefix in matching.split(",") if prefix)
    listed = [
        model
        for model in listed_models(_list(), date.fromisoformat(since))
        if model.provider in (wanted or book.providers) and (not prefixes or model.name.startswith(prefixes))
    ]
    listed = [
        model
        if model.left_out or book.find(model.provider, model.name)
        else replace(model, left_out=refused(model, since, book))
        for model in listed
    ]
    compared = compare(book, listed, today)
    if as_json:
        show_json(compared.to_json() | {"written": write})
    else:
        for line in compared.lines():
            click.echo(line)
    if write:
        text = with_models(text, compared.new, since, str(today))
        for model, name, entries in compared.changed:
            text = with_entries(text, model.provider, name, entries, model.source, str(today))
        try:
            written = read_book(text, path)
        except PriceBookError as error:
            raise click.ClickException(f"nothing was written, the book would be wrong:\n{error}") from error
        path.write_text(text, encoding="utf-8")
        click.echo(
            f"written: price book {written.version}. Look at the difference before it is committed.", err=as_json
        )


@dataclass(frozen=True, slots=True)
class Compared:
    """The list beside the book. `changed` are entries newer than any the book has, by the book's name of the model."""

    new: tuple[ListedModel, ...]
    changed: tuple[tuple[ListedModel, str, tuple[ListedEntry, ...]], ...]
    disagreeing: tuple[str, ...]
    left_out: tuple[str, ...]
    equal: int

    def to_json(self) -> dict[str, object]:
        return {
            "new": [f"{model.provider}/{model.name}" for model in self.new],
            "changed": [
                {"model": f"{model.provider}/{name}", "from": [str(entry.since) for entry in entries]}
                for model, name, entries in self.changed
            ],
            "disagreeing": list(self.disagreeing),
            "left_out": list(self.left_out),
            "equal": self.equal,
        }

    def lines(self) -> Iterable[str]:
        yield from (f"new: {model.provider}/{model.name}" for model in self.new)
        for model, name, entries in self.changed:
            yield f"changed: {model.provider}/{name} from {', '.join(str(entry.since) for entry in entries)}"
        yield from (f"disagrees: {line}" for line in self.disagreeing)
        yield from (f"left out: {line}" for line in self.left_out)
        yield (
            f"{len(self.new)} new, {len(self.changed)} changed, {len(self.disagreeing)} disagreeing, "
            f"{len(self.left_out)} left out, {self.equal} equal"
        )


def compare(book: PriceBook, listed: Iterable[ListedModel], today: date) -> Compared:
    """What the list has and the book has not, and where they differ about the price in force today."""
    new, changed, disagreeing, left_out, equal = [], [], [], [], 0
    now_us = (today - date(1970, 1, 1)).days * _DAY_US
    for model in listed:
        there = book.find(model.provider, model.name)
        if model.left_out and (there is None or not model.entries):
            left_out.append(f"{model.provider}/{model.name}: {model.left_out}")
            continue
        if there is None:
            new.append(model)
            continue
        last_us = there.entries[-1].effective_from_us
        newer = tuple(entry for entry in model.entries if entry.since and _us(entry.since) > last_us)
        if newer and not model.left_out:
            changed.append((model, there.name.partition("/")[2], newer))
        entry = there.entry_at(now_us)
        now = max(
            (e for e in model.entries if (e.since or date.min) <= today),
            key=lambda e: e.since or date.min,
            default=None,
        )
        difference = _difference(entry, now) if entry and now and now not in newer else ""
        if difference:
            disagreeing.append(f"{model.provider}/{model.name}: {difference}")
        equal += not difference and not newer
    return Compared(tuple(new), tuple(changed), tuple(disagreeing), tuple(left_out), equal)


def refused(model: ListedModel, since: str, book: PriceBook) -> str:
    """What the book's own checks say of the model's entries, standing alone; '' where they are right."""
    units = "".join(f"  {name}: one\n" for name in sorted(book.unit_names))
    head = f"version: one\nunits:\n{units}providers:\n"
    lines = provider_lines(model.provider, [model], "2026-01-01", model_lines(model, since, "2026-01-01"))
    try:
        read_book(head + "\n".join(lines) + "\n")
    except PriceBookError as error:
        return f"{error.problems[0].key.partition('.entries.')[2]} {error.problems[0].message}"
    return ""


def _difference(entry: Entry, listed: ListedEntry) -> str:
    plan = entry.plan("")
    if plan is None:
        return ""
    said = []
    for above, prices in listed.plan.bands:
        ours = dict(zip(USAGE_CLASSES, plan.band(above + 1).prices, strict=True))
        for name, usd in prices.items():
            mine = ours.get(name)  # type: ignore[call-overload]
            if mine is None or mine != pico_from_usd_per_million(usd):
                where = f" above {above}" if above else ""
                said.append(f"{name}{where} {usd} in the list, {'none' if mine is None else _per_million(mine)} here")
    return ", ".join(said)


def _us(day: date) -> int:
    return (day - date(1970, 1, 1)).days * _DAY_US


def _per_million(pico_usd: int) -> str:
    return usd_string(pico_usd * 10**6)


def _dates(entry: Entry) -> str:
    start, end = (
        datetime.fromtimestamp(us / 1e6, UTC).strftime("%Y-%m-%d") if us != END_OF_TIME_US else "now on"
        for us in (entry.effective_from_us, entry.effective_until_us)
    )
    return f"{start} to {end}"


def _said(entry: Entry) -> str:
    plan = entry.plan("")
    if plan is None:
        return "no price"
    prices = zip(USAGE_CLASSES, plan.bands[0].prices, strict=True)
    said = [f"{name} {_per_million(price)}" for name, price in prices if price is not None]
    return ", ".join([*said, *(f"{name} {usd_string(price)} each" for name, price in plan.unit_prices.items())])


def _as_json(provider: str, prices: ModelPrices) -> dict[str, object]:
    """Prices per million tokens and per unit, as decimal texts; the last entry has no end."""
    entries = []
    for entry in prices.entries:
        plan = entry.plan("")
        priced = zip(USAGE_CLASSES, plan.bands[0].prices, strict=True) if plan else ()
        entries.append(
            {
                "from": _day(entry.effective_from_us),
                "until": _day(entry.effective_until_us),
                "usd_per_million": {name: _per_million(price) for name, price in priced if price is not None},
                "usd_per_unit": {name: usd_string(price) for name, price in plan.unit_prices.items()} if plan else {},
                "source": entry.source,
            }
        )
    return {"provider": provider, "model": prices.name, "tier": prices.tier, "entries": entries}


def _day(us: int) -> str | None:
    return None if us == END_OF_TIME_US else datetime.fromtimestamp(us / 1e6, UTC).strftime("%Y-%m-%d")


def _load(path: Path) -> PriceBook:
    try:
        return load_book(path)
    except PriceBookError as error:
        raise click.ClickException(str(error)) from error


def _list() -> list[Any]:
    try:
        found: list[Any] = import_module("genai_prices.data").providers
    except ImportError as error:
        raise click.ClickException("this command needs the package genai-prices: pip install genai-prices") from error
    return found
