"""The book beside a second opinion: `make bench ARGS=cross-check`, or `python -m tests.bench.cross_check [USAGES]`
where `genai-prices` is installed.

Random usages of every model both know are priced by both, at random moments since 2026-03-01. Each difference must be
explained by a rule in `EXPLAINED`, whose reasons are kept here. Exit code 1 when one is not, or a rule is of no use.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from typing import Any

from pricing.book import load_book
from pricing.entries import PriceBook
from pricing.kernel import price_event
from pricing.usage import USAGE_CLASSES
from tests.bench.peers import run_beside_peers

_BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
_END = datetime(2026, 11, 22, tzinfo=UTC)
_PICO = Decimal(10**12)
# The list's provider → ours.
PROVIDERS = {
    "openai": "openai", "anthropic": "anthropic", "google": "google", "mistral": "mistral", "cohere": "cohere",
    "x-ai": "xai", "groq": "groq", "aws": "aws.bedrock", "deepseek": "deepseek", "baseten": "baseten",
    "cerebras": "cerebras", "databricks": "databricks", "meta": "meta", "minimax": "minimax",
    "moonshotai": "moonshotai", "perplexity": "perplexity", "together": "together", "voyageai": "voyageai",
    "zai": "zai", "openrouter": "openrouter",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """One random call, and both answers in USD; `ours` None is unpriced here."""

    provider: str
    model: str
    at: datetime
    usage: dict[str, int]
    ours: Decimal | None
    theirs: Decimal

    @property
    def prompt(self) -> int:
        return sum(count for name, count in self.usage.items() if not name.startswith("output"))


@dataclass(frozen=True, slots=True)
class Rule:
    """Why a difference is right as it is."""

    name: str
    reason: str
    explains: Callable[[Asked], bool]


EXPLAINED = (
    Rule(
        "no price is not zero",
        "a class the vendor's page has no price for leaves the call unpriced here; the list bills it as its parent "
        "class or leaves it out",
        lambda asked: asked.ours is None,
    ),
    Rule(
        "hours of the day",
        "DeepSeek's peak hours hold on working days (for V4 Pro every day); the list knows hours but no weekdays",
        lambda asked: asked.provider == "deepseek",
    ),
    Rule(
        "Sonnet 4's long context",
        "its 1M context beta of 2025-08-12 cost twice as much above 200,000 tokens, as Sonnet 4.5's did; the list has "
        "the threshold for 4.5 only (https://docs.claude.com/en/docs/about-claude/pricing#long-context-pricing)",
        lambda asked: asked.model == "claude-sonnet-4-0" and asked.prompt > 200_000,
    ),
)
# One call in so many also has classes the model has no price for.
_STRANGE_ONE_IN = 20


def listed(book: PriceBook) -> Iterator[tuple[Any, Any, str]]:
    """(the list's provider, its model, our provider) for every model both have under one whole name."""
    for provider in import_module("genai_prices.data").providers:
        ours = PROVIDERS.get(provider.id)
        for model in provider.models if ours else ():
            if ours and book.find(ours, model.id) is not None:
                yield provider, model, ours


def ask(book: PriceBook, provider: Any, model: Any, ours: str, draw: random.Random) -> Asked | None:  # noqa: ANN401
    """One random call priced by both; None where the list itself refuses it."""
    types = import_module("genai_prices.types")
    at = _BEGIN + timedelta(seconds=draw.randrange(int((_END - _BEGIN).total_seconds())))
    size = draw.choice((1, 1_000, 30_000, 150_000, 200_000, 200_001, 272_000, 272_001, 600_000))
    priced = _priced(book, ours, model.id, at)
    strange = not draw.randrange(_STRANGE_ONE_IN)
    cached, written = (
        draw.choice((0, size // 3)) if strange or name in priced else 0 for name in ("cache_read", "cache_write_5m")
    )
    completion = draw.randrange(1, 9_000) if strange or "output_text" in priced else 0
    usage = {"input_uncached": size - cached - written, "cache_read": cached, "cache_write_5m": written,
             "output_text": completion}  # fmt: skip
    theirs = types.Usage(
        input_tokens=size, cache_read_tokens=cached, cache_write_tokens=written, output_tokens=completion
    )
    try:
        price = model.calc_price(theirs, provider, genai_request_timestamp=at).total_price
    except (ValueError, TypeError):
        return None
    # The list bills a fee for each request by itself; an event says how many requests it stands for.
    units = {"requests": 1} if "requests" in priced else {}
    found = price_event(
        book, usage, provider=ours, model=model.id, occurred_at_us=round(at.timestamp() * 1e6), units=units
    )
    cost = None if found.cost_pico_usd is None else found.cost_pico_usd / _PICO
    return Asked(ours, model.id, at, usage, cost, Decimal(price))


def _priced(book: PriceBook, provider: str, model: str, at: datetime) -> set[str]:
    """Classes and units that have a price then."""
    prices = book.find(provider, model)
    entry = prices.entry_at(round(at.timestamp() * 1e6)) if prices else None
    plan = entry.plan("") if entry else None
    if plan is None:
        return set()
    classes = zip(USAGE_CLASSES, plan.bands[0].prices, strict=True)
    return {*(name for name, price in classes if price is not None), *plan.unit_prices}


def beside_peers(usages: int = 10_000) -> Iterator[str]:
    """This and `second_source` in the environment of the peers; SystemExit when a difference is not explained."""
    failed = []
    for module, arguments in (("tests.bench.cross_check", (str(usages),)), ("tests.bench.second_source", ())):
        found = run_beside_peers(module, *arguments)
        yield from found.stdout.rstrip().splitlines()
        failed += [module] if found.returncode else []
    if failed:
        raise SystemExit(f"not explained, see above: {', '.join(failed)}")


def main() -> None:
    count, draw, book = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000, random.Random(5), load_book()
    models = list(listed(book))
    seen: Counter[str] = Counter()
    wrong: list[Asked] = []
    for number in range(count):
        asked = ask(book, *models[number % len(models)], draw)
        if asked is None:
            seen["refused by the list"] += 1
        elif asked.ours == asked.theirs:
            seen["equal"] += 1
        else:
            rule = next((rule for rule in EXPLAINED if rule.explains(asked)), None)
            seen[f"explained: {rule.name}" if rule else "NOT EXPLAINED"] += 1
            wrong += [] if rule else [asked]
    print(f"{count:,} usages of {len(models)} models")
    for name, times in seen.most_common():
        print(f"  {times:6,} {name}")
    for asked in wrong[:40]:
        print(
            f"{asked.provider}/{asked.model} {asked.at:%Y-%m-%dT%H:%M} {asked.usage}: {asked.ours} here, {asked.theirs}"
        )
    unused = [rule.name for rule in EXPLAINED if not seen[f"explained: {rule.name}"]]
    if unused:
        print(f"explain nothing any more: {', '.join(unused)}")
    sys.exit(bool(wrong or unused))


if __name__ == "__main__":
    main()
