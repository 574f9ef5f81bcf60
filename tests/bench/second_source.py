"""The book's prices of today beside LiteLLM's table: `make bench ARGS=cross-check`, or `python -m
tests.bench.second_source` where that is installed.

About one name in ten differs. Each that does must be explained by a line of `EXPLAINED`; exit code 1 when one is not.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

from pricing.book import load_book
from pricing.entries import PriceBook
from pricing.usage import USAGE_CLASS_INDEX

_TABLE = "model_prices_and_context_window_backup.json"
# A Friday, off DeepSeek's peak.
_AT_US = int(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()) * 1_000_000
# The table's provider → ours.
PROVIDERS = {
    "openai": "openai", "anthropic": "anthropic", "gemini": "google", "mistral": "mistral", "xai": "xai",
    "groq": "groq", "bedrock": "aws.bedrock", "bedrock_converse": "aws.bedrock", "deepseek": "deepseek",
    "cohere": "cohere", "cohere_chat": "cohere", "perplexity": "perplexity", "together_ai": "together",
    "voyage": "voyageai", "databricks": "databricks", "baseten": "baseten", "cerebras": "cerebras",
    "moonshot": "moonshotai", "minimax": "minimax", "zai": "zai", "openrouter": "openrouter",
}  # fmt: skip
_KEYS = {
    "input_cost_per_token": "input_uncached", "output_cost_per_token": "output_text",
    "cache_read_input_token_cost": "cache_read", "cache_creation_input_token_cost": "cache_write_5m",
}  # fmt: skip
# (our provider, how the name begins, why the difference is right or what is known of it).
EXPLAINED = (
    (
        "aws.bedrock",
        "anthropic.claude-",
        "in-Region calls cost 10 % more than the global profile; the table has the latter",
    ),
    ("databricks", "databricks-", "the page gives dollars; the table multiplies units of Databricks by their price"),
    ("deepseek", "deepseek-", "the table has the price of peak hours at every hour"),
    ("mistral", "open-mistral-nemo", "0.15 since September 2024; the table has the price before"),
    ("openai", "gpt-4o-mini-tts", "what it puts out is audio, at 12.00"),
    ("groq", "openai/gpt-oss-safeguard-20b", "half of 0.075 is 0.0375; the table has it rounded"),
    ("xai", "grok-code-fast", "open: the table has grok-build-0.1's price for the name, the vendor's page its own"),
)


def differences(book: PriceBook, table: dict[str, dict[str, object]]) -> Iterator[tuple[str, str, str]]:
    """(our provider, name, what differs; '' where all that both have is equal) of every name both know."""
    for name, listed in table.items():
        theirs = str(listed.get("litellm_provider"))
        provider, own = PROVIDERS.get(theirs, ""), name.removeprefix(f"{theirs}/")
        model = book.find(provider, own)
        entry = model.entry_at(_AT_US) if model else None
        plan = entry.plan("") if entry else None
        if plan is None:
            continue
        prices, said = plan.at(_AT_US).bands[0].prices, []
        for key, usage_class in _KEYS.items():
            ours, usd = prices[USAGE_CLASS_INDEX[usage_class]], listed.get(key)
            # Their numbers passed through binary floats.
            if ours is not None and isinstance(usd, Decimal) and abs(usd * 10**12 - ours) > Decimal("0.5"):
                said.append(f"{usage_class} {usd * 10**6:.6f} there, {Decimal(ours) / 10**6} here")
        yield provider, own, ", ".join(said)


def main() -> None:
    found = find_spec("litellm")
    if found is None or found.origin is None:
        sys.exit("this needs the package litellm")
    table = json.loads(Path(found.origin).with_name(_TABLE).read_text(), parse_float=Decimal)
    compared = list(differences(load_book(), table))
    differing = [(provider, name, said) for provider, name, said in compared if said]
    used, unexplained = set(), []
    for provider, name, said in differing:
        rule = next((rule for rule in EXPLAINED if provider == rule[0] and name.startswith(rule[1])), None)
        used.add(rule)
        unexplained += [] if rule else [f"{provider}/{name}: {said}"]
    print(f"{len(compared)} names of both, {len(differing)} differ, {len(unexplained)} of them unexplained")
    stale = [f"explains nothing any more: {' '.join(rule)}" for rule in EXPLAINED if rule not in used]
    print("\n".join([*unexplained, *stale]))
    sys.exit(bool(unexplained or stale))


if __name__ == "__main__":
    main()
