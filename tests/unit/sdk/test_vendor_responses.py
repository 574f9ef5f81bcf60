"""Responses out of the vendors' own libraries become events. What the classes must be is worked out by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.sdk.conftest import Recording
from tests.unit.sdk.vendors import (
    a_gemini,
    an_anthropic,
    an_async_anthropic,
    an_async_openai,
    an_openai,
)

MESSAGES: Any = [{"role": "user", "content": "Why is the sky blue?"}]
CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_790_000_000,
    "model": "gpt-4o-2024-08-06",
    "service_tier": "default",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Rayleigh."}}],
    "usage": {
        "prompt_tokens": 2_006,
        "completion_tokens": 300,
        "total_tokens": 2_306,
        "prompt_tokens_details": {"cached_tokens": 1_920, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 192, "audio_tokens": 0},
    },
}
CHAT_CLASSES = {"input_uncached": 2_006 - 1_920, "cache_read": 1_920, "output_text": 300 - 192, "output_reasoning": 192}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1_790_000_000,
    "model": "gpt-5-2025-08-07",
    "status": "completed",
    "service_tier": "flex",
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 328,
        "input_tokens_details": {"cached_tokens": 64},
        "output_tokens": 52,
        "output_tokens_details": {"reasoning_tokens": 20},
        "total_tokens": 380,
    },
}
EMBEDDING = {
    "object": "list",
    "model": "text-embedding-3-small",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}],
    "usage": {"prompt_tokens": 8, "total_tokens": 8},
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [{"type": "text", "text": "Rayleigh."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 2_048,
        "cache_read_input_tokens": 1_800,
        "cache_creation_input_tokens": 248,
        "cache_creation": {"ephemeral_5m_input_tokens": 148, "ephemeral_1h_input_tokens": 100},
        "output_tokens": 503,
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
        "service_tier": "priority",
    },
}
# Anthropic's input leaves out what was cached; nothing is subtracted.
MESSAGE_CLASSES = {
    "input_uncached": 2_048, "cache_read": 1_800, "cache_write_5m": 148, "cache_write_1h": 100, "output_text": 503,
    "units": {"web_searches": 2},
}  # fmt: skip
GEMINI = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "Rayleigh."}]}, "finishReason": "STOP"}],
    "modelVersion": "gemini-2.5-flash",
    "usageMetadata": {
        "promptTokenCount": 1_200,
        "cachedContentTokenCount": 800,
        "candidatesTokenCount": 90,
        "thoughtsTokenCount": 310,
        "totalTokenCount": 1_600,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1_200}],
    },
}
# Gemini's thoughts stand beside the candidates; what was cached is part of the prompt.
GEMINI_CLASSES = {"input_uncached": 400, "cache_read": 800, "output_text": 90, "output_reasoning": 310}


def test_an_openai_chat_completion(recording: Recording) -> None:
    completion = an_openai(CHAT).chat.completions.create(model="gpt-4o", messages=MESSAGES)
    recording.meter.record(completion, feature="chat")
    event = recording.event()
    assert event["usage"] == CHAT_CLASSES
    assert (event["provider"], event["model"], event["operation"]) == ("openai", "gpt-4o-2024-08-06", "chat")
    assert (event["service_tier"], event["feature"]) == ("standard", "chat")


async def test_an_openai_chat_completion_of_the_async_client(recording: Recording) -> None:
    completion = await an_async_openai(CHAT).chat.completions.create(model="gpt-4o", messages=MESSAGES)
    recording.meter.record(completion)
    assert recording.event()["usage"] == CHAT_CLASSES


def test_an_openai_response(recording: Recording) -> None:
    recording.meter.record(an_openai(RESPONSE).responses.create(model="gpt-5", input="Why?"))
    event = recording.event()
    assert event["usage"] == {"input_uncached": 264, "cache_read": 64, "output_text": 32, "output_reasoning": 20}
    assert (event["model"], event["service_tier"]) == ("gpt-5-2025-08-07", "flex")


def test_openai_embeddings(recording: Recording) -> None:
    recording.meter.record(an_openai(EMBEDDING).embeddings.create(model="text-embedding-3-small", input="sky"))
    event = recording.event()
    assert (event["usage"], event["operation"]) == ({"input_uncached": 8}, "embeddings")


def test_an_anthropic_message(recording: Recording) -> None:
    message = an_anthropic(MESSAGE).messages.create(model="claude", max_tokens=10, messages=MESSAGES)
    recording.meter.record(message)
    event = recording.event()
    assert event["usage"] == MESSAGE_CLASSES
    assert (event["provider"], event["model"]) == ("anthropic", "claude-sonnet-4-5-20250929")
    assert event["service_tier"] == "priority"


async def test_an_anthropic_message_of_the_async_client(recording: Recording) -> None:
    client = an_async_anthropic(MESSAGE)
    recording.meter.record(await client.messages.create(model="claude", max_tokens=10, messages=MESSAGES))
    assert recording.event()["usage"] == MESSAGE_CLASSES


def test_a_gemini_response(recording: Recording) -> None:
    recording.meter.record(a_gemini(GEMINI).models.generate_content(model="gemini-2.5-flash", contents="Why?"))
    event = recording.event()
    assert event["usage"] == GEMINI_CLASSES
    assert (event["provider"], event["model"]) == ("google", "gemini-2.5-flash")


async def test_a_gemini_response_of_the_async_client(recording: Recording) -> None:
    client = a_gemini(GEMINI)
    recording.meter.record(await client.aio.models.generate_content(model="gemini-2.5-flash", contents="Why?"))
    assert recording.event()["usage"] == GEMINI_CLASSES


@pytest.mark.parametrize(
    ("answer", "classes"), [(CHAT, CHAT_CLASSES), (MESSAGE, MESSAGE_CLASSES), (GEMINI, GEMINI_CLASSES)]
)
def test_the_json_of_a_response_will_do(recording: Recording, answer: dict[str, Any], classes: object) -> None:
    recording.meter.record(answer)
    assert recording.event()["usage"] == classes


def test_the_caller_knows_provider_and_model_better(recording: Recording) -> None:
    recording.meter.record(an_openai(CHAT).chat.completions.create(model="m", messages=MESSAGES), provider="azure",
                           model="my-deployment", units={"web_searches": 1}, tenant_id="bigco")  # fmt: skip
    event = recording.event()
    assert (event["provider"], event["model"], event["tenant_id"]) == ("azure", "my-deployment", "bigco")
    assert event["usage"] == {**CHAT_CLASSES, "units": {"web_searches": 1}}


def test_deepseek_is_known_by_the_names_of_its_counts(recording: Recording) -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105, "prompt_cache_hit_tokens": 64,
             "prompt_cache_miss_tokens": 36}  # fmt: skip
    answer = {**CHAT, "model": "deepseek-chat", "service_tier": None, "usage": usage}
    recording.meter.record(an_openai(answer).chat.completions.create(model="m", messages=MESSAGES))
    event = recording.event()
    assert (event["provider"], event["usage"]) == (
        "deepseek", {"input_uncached": 36, "cache_read": 64, "output_text": 5}
    )  # fmt: skip


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}])
def test_a_response_without_usage_is_refused_and_never_counted_as_nothing(recording: Recording, usage: Any) -> None:  # noqa: ANN401
    answer = {**CHAT, "usage": usage}
    recording.meter.record(an_openai(answer).chat.completions.create(model="m", messages=MESSAGES))
    recording.assert_rejected()


def test_without_usage_the_callers_counts_are_taken_and_marked(recording: Recording) -> None:
    completion = an_openai({**CHAT, "usage": None}).chat.completions.create(model="m", messages=MESSAGES)
    recording.meter.record(completion, prompt_tokens=6, completion_tokens=3)
    event = recording.event()
    assert (event["usage"], event["tokens_estimated"]) == ({"input_uncached": 6, "output_text": 3}, True)


class Spiteful:
    @property
    def usage(self) -> object:
        raise RuntimeError("not today")


@pytest.mark.parametrize(
    "response",
    [None, 7, "text", object(), {}, [], Spiteful(), SimpleNamespace(usage=3), SimpleNamespace(usage={"x": 1}),
     {**CHAT, "usage": {"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 2}}},
     {**CHAT, "usage": {"prompt_tokens": -1}}],
)  # fmt: skip
def test_what_is_no_response_is_rejected_and_breaks_nothing(recording: Recording, response: object) -> None:
    recording.meter.record(response, provider="openai", model="gpt-4o")
    recording.assert_rejected()


def test_mappings_may_be_changed_after_the_call(recording: Recording) -> None:
    usage, metadata = {"input_uncached": 5}, {"build": "7"}
    recording.meter.record(provider="openai", model="gpt-4o", usage=usage, metadata=metadata)
    usage["input_uncached"], metadata["build"] = 9, "8"
    event = recording.event()
    assert (event["usage"], event["metadata"]) == ({"input_uncached": 5}, {"build": "7"})
