"""The ten disjoint usage classes: every billed token of a call is counted in exactly one of them."""

from typing import Final, Literal, TypeAlias, get_args

UsageClass: TypeAlias = Literal[
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
]

USAGE_CLASSES: Final[tuple[UsageClass, ...]] = get_args(UsageClass)
"""Canonical order, used by every vector of counts or prices in the system."""

COMPLETION_CLASSES: Final[tuple[UsageClass, ...]] = ("output_text", "output_reasoning", "output_audio", "output_image")
"""What `completion_tokens` adds up."""

PROMPT_CLASSES: Final[tuple[UsageClass, ...]] = tuple(c for c in USAGE_CLASSES if c not in COMPLETION_CLASSES)
"""What `prompt_tokens` adds up: all input and cache classes. Long-context thresholds look at this sum."""

USAGE_CLASS_INDEX: Final[dict[str, int]] = {name: i for i, name in enumerate(USAGE_CLASSES)}
"""Position of each class in USAGE_CLASSES."""

COUNT_MAX: Final = 10**9
"""Largest count of one class or unit in one event; with it a class costs at most 10^9 x PRICE_MAX_PICO_USD."""
