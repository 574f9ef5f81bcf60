"""Streams out of the vendors' own libraries pass through untouched and become events, however they end."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from spendstream_sdk import estimate_tokens

from tests.unit.sdk.conftest import Recording
from tests.unit.sdk.test_vendor_responses import MESSAGE, MESSAGES, RESPONSE
from tests.unit.sdk.vendors import (
    a_gemini,
    an_anthropic,
    an_async_anthropic,
    an_async_openai,
    an_openai,
    data_lines,
    named_events,
)

Json = dict[str, Any]
# 8 + 12 bytes of UTF-8: about five tokens.
TEXTS = ("Rayleigh", " scattering.")


def chat_chunk(choices: list[Json], usage: Json | None = None) -> Json:
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini-2024-07-18",
            "service_tier": "default", "choices": choices, "usage": usage}  # fmt: skip


CHAT_CHUNKS = [
    *(chat_chunk([{"index": 0, "delta": {"role": "assistant", "content": text}}]) for text in TEXTS),
    chat_chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}]),
]
CHAT_USAGE = chat_chunk(
    [],
    {
        "prompt_tokens": 40, "completion_tokens": 12, "total_tokens": 52,
        "prompt_tokens_details": {"cached_tokens": 30}, "completion_tokens_details": {"reasoning_tokens": 7},
    },
)  # fmt: skip
CHAT_CLASSES = {"input_uncached": 10, "cache_read": 30, "output_text": 5, "output_reasoning": 7}
RESPONSE_EVENTS = [
    {"type": "response.created", "sequence_number": 0,
     "response": {**RESPONSE, "status": "in_progress", "usage": None}},
    *(
        {"type": "response.output_text.delta", "sequence_number": 1, "item_id": "i", "output_index": 0,
         "content_index": 0, "delta": text, "logprobs": []}
        for text in TEXTS
    ),
    {"type": "response.completed", "sequence_number": 3, "response": RESPONSE},
]  # fmt: skip
MESSAGE_EVENTS: list[Json] = [
    {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None, "usage": {
        "input_tokens": 25, "cache_read_input_tokens": 1_000, "cache_creation_input_tokens": 60, "output_tokens": 1,
        "cache_creation": {"ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 0},
        "service_tier": "standard"}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}} for text in TEXTS),
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
     "usage": {"output_tokens": 15, "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0}}},
    {"type": "message_stop"},
]  # fmt: skip
MESSAGE_CLASSES = {
    "input_uncached": 25, "cache_read": 1_000, "cache_write_5m": 60, "output_text": 15, "units": {"web_searches": 1}
}  # fmt: skip


def gemini_chunk(text: str, **usage: int) -> Json:
    return {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}}],
            "modelVersion": "gemini-2.5-flash", "usageMetadata": {"promptTokenCount": 50, **usage}}  # fmt: skip


GEMINI_CHUNKS = [
    gemini_chunk(TEXTS[0], thoughtsTokenCount=20),
    gemini_chunk(TEXTS[1], candidatesTokenCount=6, thoughtsTokenCount=20, cachedContentTokenCount=10),
]
GEMINI_CLASSES = {"input_uncached": 40, "cache_read": 10, "output_text": 6, "output_reasoning": 20}


def openai_chat(*, usage: bool) -> Any:  # noqa: ANN401
    answer = data_lines([*CHAT_CHUNKS, *([CHAT_USAGE] if usage else [])])
    options: Any = {"include_usage": True}
    return an_openai(answer).chat.completions.create(
        model="gpt-4o-mini", messages=MESSAGES, stream=True, stream_options=options
    )


def openai_response() -> Any:  # noqa: ANN401
    return an_openai(named_events(RESPONSE_EVENTS)).responses.create(model="gpt-5", input="Why?", stream=True)


def anthropic_message() -> Any:  # noqa: ANN401
    client = an_anthropic(named_events(MESSAGE_EVENTS))
    return client.messages.create(model="claude", max_tokens=10, messages=MESSAGES, stream=True)


def gemini() -> Any:  # noqa: ANN401
    client = a_gemini(data_lines(GEMINI_CHUNKS, end=""))
    return client.models.generate_content_stream(model="gemini-2.5-flash", contents="Why?")


def test_a_chat_stream_with_usage(recording: Recording) -> None:
    chunks = list(recording.meter.stream(openai_chat(usage=True), feature="chat"))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "".join(TEXTS)
    event = recording.event()
    assert event["usage"] == CHAT_CLASSES
    assert (event["provider"], event["model"], event["feature"]) == ("openai", "gpt-4o-mini-2024-07-18", "chat")
    assert (event["streaming"], event["status"], event["operation"]) == (True, "ok", "chat")
    assert event["latency_ms"] >= 0
    assert "tokens_estimated" not in event


def test_a_chat_stream_without_usage_is_refused_and_never_counted_as_nothing(recording: Recording) -> None:
    assert len(list(recording.meter.stream(openai_chat(usage=False)))) == 3
    recording.assert_rejected()


def test_a_chat_stream_without_usage_is_estimated_where_the_prompt_is_known(recording: Recording) -> None:
    list(recording.meter.stream(openai_chat(usage=False), prompt_tokens=estimate_tokens("Why is the sky blue?")))
    event = recording.event()
    assert event["usage"] == {"input_uncached": 5, "output_text": 5}
    assert event["tokens_estimated"]


def test_a_vendors_usage_goes_before_the_callers_estimate(recording: Recording) -> None:
    list(recording.meter.stream(openai_chat(usage=True), prompt_tokens=1))
    assert recording.event()["usage"] == CHAT_CLASSES


async def test_a_chat_stream_of_the_async_client(recording: Recording) -> None:
    client = an_async_openai(data_lines([*CHAT_CHUNKS, CHAT_USAGE]))
    stream = await client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES, stream=True)
    async with recording.meter.stream(stream) as chunks:
        assert len([chunk async for chunk in chunks]) == 4
    assert recording.event()["usage"] == CHAT_CLASSES


def test_openais_own_streaming_helper(recording: Recording) -> None:
    client = an_openai(data_lines([*CHAT_CHUNKS, CHAT_USAGE]))
    manager = client.chat.completions.stream(model="gpt-4o-mini", messages=MESSAGES)
    with recording.meter.stream(manager) as stream:
        assert [event.delta for event in stream if event.type == "content.delta"] == list(TEXTS)
        assert stream.get_final_completion().choices[0].message.content == "".join(TEXTS)
    assert recording.event()["usage"] == CHAT_CLASSES


def test_a_response_stream(recording: Recording) -> None:
    assert len(list(recording.meter.stream(openai_response()))) == 4
    event = recording.event()
    assert event["usage"] == {"input_uncached": 264, "cache_read": 64, "output_text": 32, "output_reasoning": 20}
    assert (event["model"], event["service_tier"]) == ("gpt-5-2025-08-07", "flex")


def test_a_message_stream_adds_its_start_and_its_end(recording: Recording) -> None:
    list(recording.meter.stream(anthropic_message()))
    event = recording.event()
    assert event["usage"] == MESSAGE_CLASSES
    assert (event["provider"], event["model"]) == ("anthropic", "claude-sonnet-4-5-20250929")


def test_anthropics_own_helper_read_by_its_text_alone(recording: Recording) -> None:
    client = an_anthropic(named_events(MESSAGE_EVENTS))
    manager = client.messages.stream(model="claude", max_tokens=10, messages=MESSAGES)
    with recording.meter.stream(manager) as stream:
        assert list(stream.text_stream) == list(TEXTS)
    event = recording.event()
    assert (event["usage"], event["status"]) == (MESSAGE_CLASSES, "ok")


async def test_anthropics_async_helper(recording: Recording) -> None:
    client = an_async_anthropic(named_events(MESSAGE_EVENTS))
    manager = client.messages.stream(model="claude", max_tokens=10, messages=MESSAGES)
    async with recording.meter.stream(manager) as stream:
        assert [event.text async for event in stream if event.type == "text"] == list(TEXTS)
    assert recording.event()["usage"] == MESSAGE_CLASSES


def test_a_gemini_stream_ends_with_the_whole_usage(recording: Recording) -> None:
    list(recording.meter.stream(gemini()))
    event = recording.event()
    assert event["usage"] == GEMINI_CLASSES
    assert "tokens_estimated" not in event


async def test_a_gemini_stream_of_the_async_client(recording: Recording) -> None:
    client = a_gemini(data_lines(GEMINI_CHUNKS, end=""))
    stream = await client.aio.models.generate_content_stream(model="gemini-2.5-flash", contents="Why?")
    assert len([chunk async for chunk in recording.meter.stream(stream)]) == 2
    assert recording.event()["usage"] == GEMINI_CLASSES


def test_a_stream_left_early_is_cancelled_and_its_output_estimated(recording: Recording) -> None:
    with recording.meter.stream(anthropic_message()) as stream:
        for event in stream:
            if event.type == "content_block_delta":
                break
    event = recording.event()
    # "Rayleigh" is two tokens; the input is what the vendor said at the start.
    assert event["usage"] == {"input_uncached": 25, "cache_read": 1_000, "cache_write_5m": 60, "output_text": 2}
    assert (event["status"], event["tokens_estimated"]) == ("cancelled", True)


def test_a_gemini_stream_left_early_keeps_what_was_said(recording: Recording) -> None:
    stream = recording.meter.stream(gemini())
    next(stream)
    stream.close()
    event = recording.event()
    assert event["usage"] == {"input_uncached": 50, "output_text": 2, "output_reasoning": 20}
    assert (event["status"], event["tokens_estimated"]) == ("cancelled", True)


def test_a_stream_nobody_holds_any_more_is_recorded(recording: Recording) -> None:
    next(recording.meter.stream(openai_chat(usage=True), prompt_tokens=9))
    gc.collect()
    event = recording.event()
    assert (event["usage"], event["status"]) == ({"input_uncached": 9, "output_text": 2}, "cancelled")


def breaking(error: BaseException) -> Iterator[Json]:
    yield CHAT_CHUNKS[0]
    raise error


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [(ConnectionError("gone"), "error", "ConnectionError"), (TimeoutError(), "timeout", "TimeoutError"),
     (KeyboardInterrupt(), "cancelled", None)],
)  # fmt: skip
def test_a_stream_that_breaks_off_is_recorded_and_its_error_reaches_the_reader(
    recording: Recording, error: BaseException, status: str, name: str | None
) -> None:
    with pytest.raises(type(error)):
        list(recording.meter.stream(breaking(error), prompt_tokens=9))
    event = recording.event()
    assert (event["status"], event.get("error_type"), event["tokens_estimated"]) == (status, name, True)
    assert event["usage"] == {"input_uncached": 9, "output_text": 2}


async def test_a_cancelled_task_leaves_a_cancelled_call(recording: Recording) -> None:
    reached = asyncio.Event()

    async def endless() -> AsyncIterator[Json]:
        yield CHAT_CHUNKS[0]
        reached.set()
        await asyncio.Event().wait()

    async def read() -> None:
        async for _ in recording.meter.stream(endless(), prompt_tokens=9):
            pass

    task = asyncio.create_task(read())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert recording.event()["status"] == "cancelled"


def test_the_call_belongs_to_the_section_in_which_it_was_made(recording: Recording) -> None:
    with recording.meter.run("planner"), recording.meter.section("tool:search"):
        stream = recording.meter.stream(openai_chat(usage=True))
    with recording.meter.run("other"):
        list(stream)
    event = recording.event()
    assert (event["agent_id"], event["section_path"]) == ("planner", "agent:planner/tool:search")


def test_chunks_of_no_known_kind_pass_and_are_not_counted_as_nothing(recording: Recording) -> None:
    assert list(recording.meter.stream([1, "two", None, {"type": "ping"}, object])) == [
        1, "two", None, {"type": "ping"}, object
    ]  # fmt: skip
    recording.assert_rejected()
