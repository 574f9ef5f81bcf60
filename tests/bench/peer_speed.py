"""How many calls the peers price in a second: run in their environment (`peers.py`), prints `name rate` lines."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

_CALLS = 5_000
_PROMPT, _CACHED, _COMPLETION = 1_000, 100, 200


def _rate(price: Callable[[], Any]) -> float:
    price()
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        for _ in range(_CALLS):
            price()
        best = min(best, time.perf_counter() - started)
    return _CALLS / best


def main() -> None:
    genai, litellm = import_module("genai_prices"), import_module("litellm")
    usage = genai.Usage(input_tokens=_PROMPT, cache_read_tokens=_CACHED, output_tokens=_COMPLETION)

    def by_genai() -> Any:  # noqa: ANN401
        return genai.calc_price(usage, model_ref="gpt-4o", provider_id="openai").total_price

    def by_litellm() -> Any:  # noqa: ANN401
        return litellm.cost_per_token(
            model="gpt-4o", custom_llm_provider="openai", prompt_tokens=_PROMPT, completion_tokens=_COMPLETION,
            cache_read_input_tokens=_CACHED,
        )  # fmt: skip

    # All three must be pricing the same call: 900 × 2.50 + 100 × 1.25 + 200 × 10.00 per million.
    wanted = (900 * 2.50 + 100 * 1.25 + 200 * 10.00) / 1_000_000
    for found in (float(by_genai()), sum(by_litellm())):
        if abs(found - wanted) > 1e-9:
            raise SystemExit(f"a peer prices the call at {found}, not {wanted}")
    print(f"genai-prices {_rate(by_genai):.0f}")
    print(f"litellm {_rate(by_litellm):.0f}")


if __name__ == "__main__":
    main()
