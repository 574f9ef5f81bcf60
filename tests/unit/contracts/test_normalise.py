"""Usage objects as the vendors document them → disjoint classes. Made by hand from the pages that are named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from spendstream_sdk import normalise as sdk_normalise

from services.contracts.normalise import SHAPES, Shape, Usage, UsageShapeError, normalise, shape_of

OPENAI_CHAT = {
    # platform.openai.com/docs/api-reference/chat/object
    "prompt_tokens": 2006,
    "completion_tokens": 300,
    "total_tokens": 2306,
    "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 192, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0
    },
}  # fmt: skip
OPENAI_AUDIO = {
    "prompt_tokens": 115,
    "completion_tokens": 90,
    "total_tokens": 205,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 100},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 71},
}
OPENAI_RESPONSES = {
    # platform.openai.com/docs/api-reference/responses/object
    "input_tokens": 328,
    "input_tokens_details": {"cached_tokens": 64},
    "output_tokens": 52,
    "output_tokens_details": {"reasoning_tokens": 20},
    "total_tokens": 380,
}
OPENAI_IMAGE = {
    # platform.openai.com/docs/api-reference/images/object
    "input_tokens": 50,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
    "output_tokens": 4160,
    "output_tokens_details": {"image_tokens": 4160, "text_tokens": 0},
    "total_tokens": 4210,
}
OPENAI_REALTIME = {
    # platform.openai.com/docs/api-reference/realtime-server-events/response/done: token_details, without the s; audio
    # that was cached is counted in cached_tokens and in audio_tokens
    "input_tokens": 150,
    "input_token_details": {
        "text_tokens": 50, "audio_tokens": 100, "cached_tokens": 64,
        "cached_tokens_details": {"text_tokens": 4, "audio_tokens": 60},
    },
    "output_tokens": 30,
    "output_token_details": {"text_tokens": 5, "audio_tokens": 25},
    "total_tokens": 180,
}  # fmt: skip
OPENAI_TRANSCRIPTION = {
    # platform.openai.com/docs/api-reference/audio/json-object
    "type": "tokens",
    "input_tokens": 14,
    "input_token_details": {"text_tokens": 0, "audio_tokens": 14},
    "output_tokens": 45,
    "total_tokens": 59,
}
OPENAI_EMBEDDING = {"prompt_tokens": 8, "total_tokens": 8}
XAI = {
    # docs.x.ai: reasoning stands beside the completion, and in the total
    "prompt_tokens": 32,
    "completion_tokens": 9,
    "total_tokens": 135,
    "prompt_tokens_details": {"text_tokens": 32, "audio_tokens": 0, "image_tokens": 0, "cached_tokens": 6},
    "completion_tokens_details": {"reasoning_tokens": 94},
}
ANTHROPIC = {
    # docs.claude.com/en/api/messages
    "input_tokens": 2048,
    "cache_read_input_tokens": 1800,
    "cache_creation_input_tokens": 248,
    "cache_creation": {"ephemeral_5m_input_tokens": 148, "ephemeral_1h_input_tokens": 100},
    "output_tokens": 503,
    "server_tool_use": {"web_search_requests": 2},
    "service_tier": "standard",
}
ANTHROPIC_COMPACTED = {
    # docs.claude.com/en/docs/build-with-claude/compaction: the totals leave compaction out, the bill doesn't
    "input_tokens": 23000,
    "output_tokens": 1000,
    "iterations": [
        {"type": "compaction", "input_tokens": 180000, "output_tokens": 3500, "cache_read_input_tokens": 500,
         "cache_creation_input_tokens": 0},
        {"type": "message", "input_tokens": 23000, "output_tokens": 1000},
    ],
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
}  # fmt: skip
ANTHROPIC_FAST = {"input_tokens": 10, "output_tokens": 5, "service_tier": "standard", "speed": "fast"}
ANTHROPIC_PLAIN = {"input_tokens": 10, "output_tokens": 5, "cache_creation_input_tokens": 7}
GEMINI = {
    # ai.google.dev/api/generate-content#UsageMetadata
    "promptTokenCount": 1200,
    "cachedContentTokenCount": 800,
    "candidatesTokenCount": 90,
    "thoughtsTokenCount": 310,
    "toolUsePromptTokenCount": 40,
    "totalTokenCount": 1640,
    "promptTokensDetails": [
        {"modality": "TEXT", "tokenCount": 900}, {"modality": "AUDIO", "tokenCount": 200},
        {"modality": "IMAGE", "tokenCount": 100},
    ],
    "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 700}, {"modality": "AUDIO", "tokenCount": 100}],
}  # fmt: skip
GEMINI_FLEX = {"promptTokenCount": 5, "candidatesTokenCount": 7, "totalTokenCount": 12, "serviceTier": "flex"}
VERTEX_PRIORITY = {
    # The enum TrafficType of Vertex AI
    "promptTokenCount": 5, "candidatesTokenCount": 7, "totalTokenCount": 12, "trafficType": "ON_DEMAND_PRIORITY",
}  # fmt: skip
GEMINI_SDK = {
    "prompt_token_count": 12,
    "candidates_token_count": 1300,
    "total_token_count": 1312,
    "cached_content_token_count": None,
    "candidates_tokens_details": [{"modality": "MediaModality.IMAGE", "token_count": 1290}],
}
MISTRAL = {"prompt_tokens": 25, "completion_tokens": 11, "total_tokens": 36, "prompt_audio_seconds": 61}
MISTRAL_CACHED = {"prompt_tokens": 25, "completion_tokens": 11, "total_tokens": 36, "num_cached_tokens": 16}
BEDROCK = {
    # docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html
    "inputTokens": 30,
    "outputTokens": 628,
    "totalTokens": 1158,
    "cacheReadInputTokens": 400,
    "cacheWriteInputTokens": 100,
    "cacheDetails": [{"inputTokens": 60, "ttl": "1h"}, {"inputTokens": 40, "ttl": "5m"}],
}
DEEPSEEK = {
    # api-docs.deepseek.com/api/create-chat-completion
    "prompt_tokens": 1000,
    "prompt_cache_hit_tokens": 640,
    "prompt_cache_miss_tokens": 360,
    "completion_tokens": 500,
    "completion_tokens_details": {"reasoning_tokens": 380},
    "prompt_tokens_details": {"cached_tokens": 640},
    "total_tokens": 1500,
}

RECORDED: list[tuple[Shape, dict[str, Any], Usage]] = [
    ("openai_chat", OPENAI_CHAT, Usage(
        {"input_uncached": 2006 - 1920, "cache_read": 1920, "output_text": 300 - 192, "output_reasoning": 192}, {})),
    ("openai_chat", OPENAI_AUDIO, Usage(
        {"input_uncached": 115 - 100, "input_audio": 100, "output_text": 90 - 71, "output_audio": 71}, {})),
    ("openai_chat", OPENAI_EMBEDDING, Usage({"input_uncached": 8}, {})),
    ("openai_chat", XAI, Usage(
        {"input_uncached": 32 - 6, "cache_read": 6, "output_text": 9, "output_reasoning": 94}, {})),
    ("openai_responses", OPENAI_RESPONSES, Usage(
        {"input_uncached": 328 - 64, "cache_read": 64, "output_text": 52 - 20, "output_reasoning": 20}, {})),
    ("openai_responses", OPENAI_IMAGE, Usage({"input_uncached": 10, "input_image": 40, "output_image": 4160}, {})),
    ("openai_responses", OPENAI_REALTIME, Usage(
        {"input_uncached": 150 - 64 - 40, "cache_read": 64, "input_audio": 100 - 60, "output_text": 5,
         "output_audio": 25}, {})),
    ("anthropic", ANTHROPIC, Usage(
        {"input_uncached": 2048, "cache_read": 1800, "cache_write_5m": 148, "cache_write_1h": 100, "output_text": 503},
        {"web_searches": 2}, "standard")),
    ("openai_responses", OPENAI_TRANSCRIPTION, Usage({"input_audio": 14, "output_text": 45}, {})),
    ("anthropic", ANTHROPIC_COMPACTED, Usage(
        {"input_uncached": 23000 + 180000, "cache_read": 500, "output_text": 1000 + 3500}, {})),
    ("anthropic", ANTHROPIC_FAST, Usage({"input_uncached": 10, "output_text": 5}, {}, "priority")),
    ("anthropic", ANTHROPIC_PLAIN, Usage({"input_uncached": 10, "cache_write_5m": 7, "output_text": 5}, {})),
    ("gemini", GEMINI, Usage(
        {"input_uncached": 1200 - 800 - 100 - 100 + 40, "cache_read": 800, "input_audio": 200 - 100,
         "input_image": 100, "output_text": 90, "output_reasoning": 310}, {})),
    ("gemini", GEMINI_SDK, Usage({"input_uncached": 12, "output_text": 1300 - 1290, "output_image": 1290}, {})),
    ("gemini", GEMINI_FLEX, Usage({"input_uncached": 5, "output_text": 7}, {}, "flex")),
    ("gemini", VERTEX_PRIORITY, Usage({"input_uncached": 5, "output_text": 7}, {}, "priority")),
    ("mistral", MISTRAL, Usage({"input_uncached": 25, "output_text": 11}, {"audio_seconds": 61})),
    ("mistral", MISTRAL_CACHED, Usage({"input_uncached": 25 - 16, "cache_read": 16, "output_text": 11}, {})),
    ("bedrock", BEDROCK, Usage(
        {"input_uncached": 30, "cache_read": 400, "cache_write_5m": 40, "cache_write_1h": 60, "output_text": 628}, {})),
    ("deepseek", DEEPSEEK, Usage(
        {"input_uncached": 360, "cache_read": 640, "output_text": 120, "output_reasoning": 380}, {})),
]  # fmt: skip


@pytest.mark.parametrize("normalise", [normalise, sdk_normalise.normalise], ids=["doors", "SDK"])
@pytest.mark.parametrize(("shape", "usage", "wanted"), RECORDED, ids=[f"{n}-{r[0]}" for n, r in enumerate(RECORDED)])
def test_recorded_usage_becomes_disjoint_classes(
    shape: Shape, usage: dict[str, Any], wanted: Usage, normalise: Callable[[Any, Any], Any]
) -> None:
    for shape_given in (shape, None):
        found = normalise(usage, shape_given)
        assert (found.classes, found.units, found.service_tier) == (wanted.classes, wanted.units, wanted.service_tier)
    assert shape_of(usage) == shape


@pytest.mark.parametrize("usage", [recorded for _, recorded, _ in RECORDED if "total_tokens" in recorded])
def test_no_token_is_lost_or_counted_twice(usage: dict[str, Any]) -> None:
    assert sum(normalise(usage).classes.values()) == usage["total_tokens"]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "cached above prompt": ({**OPENAI_CHAT, "prompt_tokens": 1919}, "is 1919, less than its parts: cached 1920"),
    "reasoning above completion": ({**OPENAI_CHAT, "completion_tokens": 5}, "is 5, less than its parts: reasoning 192"),
    "cache parts of another sum": ({**ANTHROPIC, "cache_creation_input_tokens": 9}, "is 9, its parts are 148 and 100"),
    "hits and misses of another sum": ({**DEEPSEEK, "prompt_tokens": 999}, "prompt_tokens is 999, its parts are 640"),
    "more cached than there was of a modality": (
        {**GEMINI, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 50}]},
        "than its parts|than their whole"),
    "more written than written": ({**BEDROCK, "cacheWriteInputTokens": 99}, "is 99, its parts are 100"),
    "an age nobody knows": ({**BEDROCK, "cacheDetails": [{"inputTokens": 1, "ttl": "2d"}]}, "not one of 5m, 1h"),
    "details that are no array": ({**BEDROCK, "cacheDetails": {"ttl": "1h"}}, "cacheDetails must be an array"),
    "modalities that are no array": ({**GEMINI, "promptTokensDetails": 5}, "must be an array, not 5"),
    "another model's tokens": (
        {**ANTHROPIC_PLAIN, "iterations": [{"type": "advisor_message", "input_tokens": 823, "output_tokens": 1612}]},
        "an advisor_message of 823 input and 1612 output tokens"),
    "an iteration nobody knows": ({**ANTHROPIC_PLAIN, "iterations": [{"type": "guess"}]}, "of the type message"),
    "a negative count": ({**MISTRAL, "prompt_tokens": -1}, "prompt_tokens must be a whole number"),
    "a fraction": ({**MISTRAL, "prompt_tokens": 1.5}, "prompt_tokens must be a whole number"),
    "a truth": ({**MISTRAL, "prompt_tokens": True}, "prompt_tokens must be a whole number"),
    "text": ({**MISTRAL, "prompt_tokens": "25"}, "prompt_tokens must be a whole number"),
    "beyond reason": ({**MISTRAL, "prompt_tokens": 10**9 + 1}, "prompt_tokens must be a whole number"),
    "details that are none": ({**OPENAI_CHAT, "prompt_tokens_details": 7}, "must be an object"),
    "a service tier nobody knows": ({**ANTHROPIC, "service_tier": "gold"}, "service tier is not one of default"),
    "nothing": ({}, "no vendor's usage has these keys: none"),
    "another thing": ({"tokens": 5}, "no vendor's usage has these keys: tokens"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_contradicts_itself_is_refused_with_the_numbers(name: str) -> None:
    usage, message = WRONG[name]
    with pytest.raises(UsageShapeError, match=message.replace("'", ".")):
        normalise(usage)


def test_every_shape_is_recorded() -> None:
    assert {shape for shape, _, _ in RECORDED} == set(SHAPES)


def test_what_is_no_object_is_refused() -> None:
    with pytest.raises(UsageShapeError, match="must be an object, not list"):
        normalise([])  # type: ignore[arg-type]


def test_a_refusal_never_repeats_text_that_was_given() -> None:
    secret = "the prompt of somebody"
    for usage in ({**MISTRAL, "prompt_tokens": secret}, {**ANTHROPIC, "service_tier": secret}):
        with pytest.raises(UsageShapeError) as refused:
            normalise(usage)
        assert secret not in str(refused.value)
