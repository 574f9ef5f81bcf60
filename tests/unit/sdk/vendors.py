"""The vendors' own libraries, answered from memory: no key, no socket."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import anthropic
import httpx2
import openai
from google import genai
from google.genai import types

Json = dict[str, Any]


def transport(answer: Json | str, status: int = 200) -> httpx2.MockTransport:
    """Answers every request with this: JSON, or the text of an event stream."""

    def handle(_request: httpx2.Request) -> httpx2.Response:
        if isinstance(answer, str):
            return httpx2.Response(status, text=answer, headers={"content-type": "text/event-stream"})
        return httpx2.Response(status, json=answer)

    return httpx2.MockTransport(handle)


def data_lines(chunks: Sequence[Json], end: str = "data: [DONE]\n\n") -> str:
    """An event stream as OpenAI's chat and Gemini send it."""
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + end


def named_events(events: Sequence[Json]) -> str:
    """An event stream as Anthropic and OpenAI's responses send it: each event by its type."""
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)


def an_openai(answer: Json | str, status: int = 200) -> openai.OpenAI:
    client = httpx2.Client(transport=transport(answer, status))
    return openai.OpenAI(api_key="k", base_url="http://vendor", max_retries=0, http_client=client)


def an_async_openai(answer: Json | str) -> openai.AsyncOpenAI:
    client = httpx2.AsyncClient(transport=transport(answer))
    return openai.AsyncOpenAI(api_key="k", base_url="http://vendor", max_retries=0, http_client=client)


def an_anthropic(answer: Json | str) -> anthropic.Anthropic:
    client = httpx2.Client(transport=transport(answer))
    return anthropic.Anthropic(api_key="k", base_url="http://vendor", max_retries=0, http_client=client)


def an_async_anthropic(answer: Json | str) -> anthropic.AsyncAnthropic:
    client = httpx2.AsyncClient(transport=transport(answer))
    return anthropic.AsyncAnthropic(api_key="k", base_url="http://vendor", max_retries=0, http_client=client)


def a_gemini(answer: Json | str) -> genai.Client:
    options = types.HttpOptions(
        base_url="http://vendor",
        httpx_client=httpx2.Client(transport=transport(answer)),
        httpx_async_client=httpx2.AsyncClient(transport=transport(answer)),
    )
    return genai.Client(api_key="k", http_options=options)
