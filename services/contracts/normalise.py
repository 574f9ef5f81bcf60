"""What vendors say a call used → disjoint usage classes, so that nothing is billed twice and nothing left out.

Vendors differ in what contains what: OpenAI's prompt contains what was cached, Anthropic's doesn't; OpenAI's completion
contains reasoning, Gemini's candidates don't. Pure, and without imports of ours: the SDK carries this very file
(`services/sdk/copy_normaliser.py`), the doors read `vendor_usage` by it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias, get_args

Shape: TypeAlias = Literal[
    "openai_chat", "openai_responses", "anthropic", "gemini", "mistral", "bedrock", "deepseek"
]  # fmt: skip
SHAPES: Final[tuple[str, ...]] = get_args(Shape)
_COUNT_MAX: Final = 10**9
_ITERATIONS_MAX: Final = 1_000
# `fast` is Anthropic's fast mode, several times the list price: priced where the book has a price, else unpriced.
_SERVICE_TIERS: Final = {
    "default": "standard", "standard": "standard", "auto": "", "batch": "batch", "flex": "flex", "priority": "priority",
    "scale": "priority", "fast": "priority",
}  # fmt: skip
_TRAFFIC_TYPES: Final = {
    "TRAFFIC_TYPE_UNSPECIFIED": "", "ON_DEMAND": "standard", "ON_DEMAND_FLEX": "flex", "ON_DEMAND_PRIORITY": "priority",
    "PROVISIONED_THROUGHPUT": "",
}  # fmt: skip


class UsageShapeError(ValueError):
    """The usage isn't of that shape, or contradicts itself; the message has the numbers."""


@dataclass(frozen=True, slots=True)
class Usage:
    """`classes` by usage class and `units` by name, only what isn't zero. `service_tier` is '' where the vendor's usage
    doesn't say it."""

    classes: Mapping[str, int]
    units: Mapping[str, int]
    service_tier: str = ""


def normalise(usage: Mapping[str, Any], shape: Shape | None = None) -> Usage:
    """The usage object of a vendor's answer, as JSON has it (Gemini's in camel or snake case).

    `shape` None tells it by its keys. Raises UsageShapeError. Keys that say nothing about cost are ignored.
    """
    if not isinstance(usage, Mapping):
        raise UsageShapeError(f"usage must be an object, not {type(usage).__name__}")
    return _READERS[shape or shape_of(usage)](usage)


def shape_of(usage: Mapping[str, Any]) -> Shape:
    """Whose usage object this is, by its keys; UsageShapeError where no vendor's fits."""
    keys = set(usage)
    if keys & {"promptTokenCount", "prompt_token_count"}:
        return "gemini"
    if keys & {"inputTokens", "outputTokens"}:
        return "bedrock"
    if "prompt_cache_hit_tokens" in keys:
        return "deepseek"
    if keys & {"prompt_audio_seconds", "num_cached_tokens"}:
        return "mistral"
    if "prompt_tokens" in keys:
        return "openai_chat"
    if keys & {"cache_creation_input_tokens", "cache_read_input_tokens", "cache_creation", "server_tool_use"}:
        return "anthropic"
    if "input_tokens" in keys and keys & _OPENAI_ONLY:
        return "openai_responses"
    if "input_tokens" in keys:
        return "anthropic"
    shown = ", ".join(ascii(str(key)[:40])[1:-1] for key in sorted(keys, key=str)[:10])
    raise UsageShapeError(f"no vendor's usage has these keys: {shown or 'none'}")


_OPENAI_ONLY: Final = frozenset(
    ("total_tokens", "input_tokens_details", "output_tokens_details", "input_token_details", "output_token_details")
)


def _openai_chat(usage: Mapping[str, Any]) -> Usage:
    # https://platform.openai.com/docs/api-reference/chat/object
    return _openai(usage, "prompt_tokens", "completion_tokens")


def _openai_responses(usage: Mapping[str, Any]) -> Usage:
    # https://platform.openai.com/docs/api-reference/responses/object
    return _openai(usage, "input_tokens", "output_tokens")


def _openai(usage: Mapping[str, Any], prompt_name: str, completion_name: str) -> Usage:
    """Cached, audio and image tokens are parts of the prompt; reasoning, audio and image tokens of the completion."""
    prompt, completion = _count(usage, prompt_name), _count(usage, completion_name)
    # The Realtime and transcription APIs say token_details.
    inside, outside = (
        _part(usage, f"{name}_details", f"{name.removesuffix('s')}_details") for name in (prompt_name, completion_name)
    )
    cached, cached_kinds = _count(inside, "cached_tokens"), _part(inside, "cached_tokens_details")
    written = _count(inside, "cache_write_tokens", "cache_creation_tokens")
    # The Realtime API counts cached audio in both.
    audio = _count(inside, "audio_tokens") - _count(cached_kinds, "audio_tokens")
    image = _count(inside, "image_tokens") - _count(cached_kinds, "image_tokens")
    reasoning = _count(outside, "reasoning_tokens")
    audio_out, image_out = _count(outside, "audio_tokens"), _count(outside, "image_tokens")
    apart = reasoning and _count(usage, "total_tokens") == prompt + completion + reasoning
    if apart:  # xAI and some others speak OpenAI's language but add reasoning to the completion
        completion += reasoning
    return _usage(
        service_tier=_service_tier(usage),
        input_uncached=_rest(prompt_name, prompt, cached=cached, cache_write=written, audio=audio, image=image),
        cache_read=cached,
        cache_write_5m=written,
        input_audio=audio,
        input_image=image,
        output_text=_rest(completion_name, completion, reasoning=reasoning, audio=audio_out, image=image_out),
        output_reasoning=reasoning,
        output_audio=audio_out,
        output_image=image_out,
    )


def _anthropic(usage: Mapping[str, Any]) -> Usage:
    """`input_tokens` is what was neither read from nor written to the cache; thinking is part of the output.

    `iterations` that compact the conversation are billed beside the totals. Those of another model (advisors) can't be
    part of this call: they are refused, to be recorded as calls of their own.
    """
    # https://docs.claude.com/en/api/messages, /en/docs/build-with-claude/compaction
    parts = [_anthropic_tokens(usage), *map(_anthropic_tokens, _beside(usage))]
    tools = _part(usage, "server_tool_use")
    return _usage(
        service_tier=_service_tier(usage, "speed") if usage.get("speed") == "fast" else _service_tier(usage),
        units={"web_searches": _count(tools, "web_search_requests")},
        **{name: sum(part[name] for part in parts) for name in parts[0]},
    )


def _beside(usage: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The iterations that the totals leave out."""
    iterations = usage.get("iterations") or ()
    if not isinstance(iterations, list | tuple) or len(iterations) > _ITERATIONS_MAX:
        raise UsageShapeError(f"iterations must be an array of at most {_ITERATIONS_MAX}")
    found = []
    for iteration in iterations:
        kind = iteration.get("type") if isinstance(iteration, Mapping) else None
        if kind == "compaction":
            found.append(iteration)
        elif kind == "advisor_message":
            spent = _count(iteration, "input_tokens"), _count(iteration, "output_tokens")
            raise UsageShapeError(
                f"iterations has an advisor_message of {spent[0]} input and {spent[1]} output tokens, another model's: "
                "record it as a call of its own and leave it out here"
            )
        elif kind != "message":
            raise UsageShapeError("iterations must hold objects of the type message, compaction or advisor_message")
    return found


def _anthropic_tokens(usage: Mapping[str, Any]) -> dict[str, int]:
    written, by_age = _count(usage, "cache_creation_input_tokens"), _part(usage, "cache_creation")
    short, long = (_count(by_age, f"ephemeral_{age}_input_tokens") for age in ("5m", "1h"))
    if not by_age:
        short = written
    elif written and short + long != written:
        raise UsageShapeError(f"cache_creation_input_tokens is {written}, its parts are {short} and {long}")
    thinking = _count(_part(usage, "output_tokens_details"), "thinking_tokens", "reasoning_tokens")
    return {
        "input_uncached": _count(usage, "input_tokens"),
        "cache_read": _count(usage, "cache_read_input_tokens"),
        "cache_write_5m": short,
        "cache_write_1h": long,
        "output_text": _rest("output_tokens", _count(usage, "output_tokens"), thinking=thinking),
        "output_reasoning": thinking,
    }


def _gemini(usage: Mapping[str, Any]) -> Usage:
    """Cached tokens are part of the prompt; thoughts and the prompts of tools stand beside candidates and prompt."""
    # https://ai.google.dev/api/generate-content#UsageMetadata
    prompt = _count(usage, "promptTokenCount", "prompt_token_count")
    tools = _count(usage, "toolUsePromptTokenCount", "tool_use_prompt_token_count")
    cached = _count(usage, "cachedContentTokenCount", "cached_content_token_count")
    candidates = _count(usage, "candidatesTokenCount", "candidates_token_count", "responseTokenCount")
    inside = _modalities(usage, "promptTokensDetails", "prompt_tokens_details")
    from_cache = _modalities(usage, "cacheTokensDetails", "cache_tokens_details")
    outside = _modalities(usage, "candidatesTokensDetails", "candidates_tokens_details", "responseTokensDetails")
    audio, image = (
        sum(inside.get(kind, 0) - from_cache.get(kind, 0) for kind in kinds)
        for kinds in (("AUDIO",), ("IMAGE", "VIDEO"))
    )
    audio_out, image_out = outside.get("AUDIO", 0), outside.get("IMAGE", 0)
    tier = _service_tier(usage, "serviceTier", "service_tier") or _traffic_type(usage)
    return _usage(
        service_tier=tier,
        input_uncached=_rest("promptTokenCount", prompt, cached=cached, audio=audio, image=image) + tools,
        cache_read=cached,
        input_audio=audio,
        input_image=image,
        output_text=_rest("candidatesTokenCount", candidates, audio=audio_out, image=image_out),
        output_reasoning=_count(usage, "thoughtsTokenCount", "thoughts_token_count"),
        output_audio=audio_out,
        output_image=image_out,
    )


def _mistral(usage: Mapping[str, Any]) -> Usage:
    """OpenAI's language; audio comes in seconds beside the tokens."""
    # https://docs.mistral.ai/api/
    prompt = _count(usage, "prompt_tokens")
    inside = _part(usage, "prompt_tokens_details", "prompt_token_details")
    cached = _count(usage, "num_cached_tokens") or _count(inside, "cached_tokens")
    return _usage(
        units={"audio_seconds": _count(usage, "prompt_audio_seconds")},
        input_uncached=_rest("prompt_tokens", prompt, cached=cached),
        cache_read=cached,
        output_text=_count(usage, "completion_tokens"),
    )


def _bedrock(usage: Mapping[str, Any]) -> Usage:
    """Converse: `inputTokens` leaves out what was read from and written to the cache."""
    # https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html
    written = _count(usage, "cacheWriteInputTokens", "cacheWriteInputTokenCount")
    ages = {"5m": 0, "1h": 0}
    details = usage.get("cacheDetails") or ()
    if not isinstance(details, list | tuple):
        raise UsageShapeError(f"cacheDetails must be an array, not {_said(details)}")
    for detail in details:
        age = detail.get("ttl") if isinstance(detail, Mapping) else None
        if age not in ages:
            raise UsageShapeError(f"cacheDetails has a ttl that is not one of {', '.join(ages)}")
        ages[age] += _count(detail, "inputTokens")
    if sum(ages.values()) > written:
        raise UsageShapeError(f"cacheWriteInputTokens is {written}, its parts are {sum(ages.values())}")
    return _usage(
        input_uncached=_count(usage, "inputTokens"),
        cache_read=_count(usage, "cacheReadInputTokens", "cacheReadInputTokenCount"),
        cache_write_5m=written - ages["1h"],
        cache_write_1h=ages["1h"],
        output_text=_count(usage, "outputTokens"),
    )


def _deepseek(usage: Mapping[str, Any]) -> Usage:
    """OpenAI's language; the prompt is what hit the cache and what missed it."""
    # https://api-docs.deepseek.com/api/create-chat-completion
    prompt, hit = _count(usage, "prompt_tokens"), _count(usage, "prompt_cache_hit_tokens")
    missed = usage.get("prompt_cache_miss_tokens")
    if missed is not None and _count(usage, "prompt_cache_miss_tokens") + hit != prompt:
        raise UsageShapeError(
            f"prompt_tokens is {prompt}, its parts are {hit} that hit the cache and {missed} that missed"
        )
    reasoning = _count(_part(usage, "completion_tokens_details"), "reasoning_tokens")
    return _usage(
        input_uncached=_rest("prompt_tokens", prompt, cached=hit),
        cache_read=hit,
        output_text=_rest("completion_tokens", _count(usage, "completion_tokens"), reasoning=reasoning),
        output_reasoning=reasoning,
    )


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Usage]]] = {
    "openai_chat": _openai_chat,
    "openai_responses": _openai_responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "mistral": _mistral,
    "bedrock": _bedrock,
    "deepseek": _deepseek,
}


def _usage(service_tier: str = "", units: Mapping[str, int] | None = None, **classes: int) -> Usage:
    wrong = {name: count for name, count in classes.items() if count < 0}
    if wrong:
        raise UsageShapeError(f"parts are larger than their whole: {wrong}")
    given = {name: count for name, count in (units or {}).items() if count}
    return Usage({name: count for name, count in classes.items() if count}, given, service_tier)


def _count(usage: Mapping[str, Any], *names: str) -> int:
    """The first of the names that is there; null and missing are zero."""
    name = next((name for name in names if usage.get(name) is not None), None)
    if name is None:
        return 0
    value = usage[name]
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _COUNT_MAX:
        raise UsageShapeError(f"{name} must be a whole number from 0 to {_COUNT_MAX}, not {_said(value)}")
    return value


def _said(value: object) -> str:
    """A number as it is; of anything else only what it is, as it may be anything."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return f"a {type(value).__name__}"
    return str(value)[:24]


def _part(usage: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    value: Any = next((usage[name] for name in names if usage.get(name) is not None), {})
    if not isinstance(value, Mapping):
        raise UsageShapeError(f"{names[0]} must be an object, not {type(value).__name__}")
    return value


def _modalities(usage: Mapping[str, Any], *names: str) -> dict[str, int]:
    """Gemini's lists of {modality, tokenCount} as counts by modality."""
    counts: dict[str, int] = {}
    details = next((usage[name] for name in names if usage.get(name) is not None), ())
    if not isinstance(details, list | tuple):
        raise UsageShapeError(f"{names[0]} must be an array, not {_said(details)}")
    for detail in details:
        if not isinstance(detail, Mapping):
            raise UsageShapeError(f"{names[0]} must hold objects, not {type(detail).__name__}")
        modality = str(detail.get("modality", "")).rpartition(".")[2].upper()
        counts[modality] = counts.get(modality, 0) + _count(detail, "tokenCount", "token_count")
    return counts


def _rest(name: str, whole: int, **parts: int) -> int:
    """What is left of the whole without its parts."""
    rest = whole - sum(parts.values())
    if rest < 0:
        said = ", ".join(f"{part} {count}" for part, count in parts.items() if count)
        raise UsageShapeError(f"{name} is {whole}, less than its parts: {said}")
    return rest


def _service_tier(usage: Mapping[str, Any], *names: str) -> str:
    """Ours for the vendor's word; '' where it says none. Enums of SDKs count by what they are called."""
    value = next((usage[name] for name in names or ("service_tier",) if usage.get(name) is not None), None)
    if value is None:
        return ""
    word = str(getattr(value, "value", value)).lower()
    if word not in _SERVICE_TIERS:
        raise UsageShapeError(f"the usage's service tier is not one of {', '.join(_SERVICE_TIERS)}")
    return _SERVICE_TIERS[word]


def _traffic_type(usage: Mapping[str, Any]) -> str:
    """What Vertex AI calls the service tier; one that nobody knows says nothing."""
    value = next((usage[name] for name in ("trafficType", "traffic_type") if usage.get(name) is not None), "")
    return _TRAFFIC_TYPES.get(str(getattr(value, "value", value)).rpartition(".")[2], "")
