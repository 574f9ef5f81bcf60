"""What a streamed answer says it used, put together from its chunks. Pure; keeps counts, never text."""

from __future__ import annotations

from typing import Any

from spendstream_sdk.responses import Reported, look, take, to_mapping

_BYTES_PER_TOKEN = 4
# Of OpenAI's Responses API: each has the whole response, with its usage.
_RESPONSE_ENDS = frozenset(("response.completed", "response.incomplete", "response.failed"))


def estimate_tokens(text: str) -> int:
    """About how many tokens a text is: one for every four bytes of UTF-8, rounded up.

    For when a vendor reports nothing; what is estimated is marked `tokens_estimated`.
    """
    return -(-len(text.encode("utf-8", "replace")) // _BYTES_PER_TOKEN)


class Gathered:
    """Fed with every chunk. `complete` once the vendor's final usage has been seen."""

    __slots__ = ("_seen", "_usage", "complete", "output_bytes")

    def __init__(self) -> None:
        self.complete = False
        self.output_bytes = 0
        self._seen = Reported()
        self._usage: dict[str, Any] | None = None

    @property
    def estimated_output_tokens(self) -> int:
        return -(-self.output_bytes // _BYTES_PER_TOKEN)

    def add(self, chunk: object) -> None:
        """Notes what the chunk says; one of no known kind says nothing."""
        kind = look(chunk, "type")
        if isinstance(kind, str):
            if kind.startswith("response."):
                self._responses_event(kind, chunk)
            elif kind == "chunk":  # OpenAI's streaming helper wraps each chunk, beside events of its own
                self.add(look(chunk, "chunk"))
            else:
                self._anthropic_event(kind, chunk)
        elif look(chunk, "choices") is not None or look(chunk, "object") == "chat.completion.chunk":
            self._chat_chunk(chunk)
        elif look(chunk, "candidates", "usage_metadata", "usageMetadata") is not None:
            self._gemini_chunk(chunk)

    def read_to_the_end(self) -> None:
        """Nothing follows: what Gemini has said last, in whatever chunk, is its final usage."""
        if self._seen.shape == "gemini" and self._usage is not None:
            self.complete = True

    def add_final(self, message: object) -> None:
        """The whole answer as a vendor's helper has gathered it."""
        reported = take(message)
        if reported.usage is not None:
            self._seen, self._usage, self.complete = reported, to_mapping(reported.usage), True

    def reported(self) -> Reported:
        """What is known now. Where the end was not seen the output is at least what its text comes to."""
        usage = None if self._usage is None else dict(self._usage)
        if usage is not None and not self.complete:
            name = "output_tokens" if self._seen.shape == "anthropic" else "candidates_token_count"
            usage[name] = max(usage.get(name, 0), self.estimated_output_tokens)
        return self._seen._replace(usage=usage)

    def _chat_chunk(self, chunk: object) -> None:
        found = take(chunk)
        self._see(found if found.provider else found._replace(provider="openai", operation="chat", unreadable=""))
        if found.usage is not None:  # the last chunk, if asked for with stream_options
            self._usage, self.complete = to_mapping(found.usage), True
        for choice in look(chunk, "choices") or ():
            delta = look(choice, "delta") or choice
            for name in ("content", "reasoning_content", "reasoning", "refusal", "text"):
                self._text(look(delta, name))
            for call in look(delta, "tool_calls") or ():
                function = look(call, "function")
                self._text(look(function, "arguments"))
                self._text(look(function, "name"))

    def _responses_event(self, kind: str, event: object) -> None:
        self._text(look(event, "delta"))
        response = look(event, "response")
        if response is not None:
            found = take(response)
            self._see(found)
            if kind in _RESPONSE_ENDS and found.usage is not None:
                self._usage, self.complete = to_mapping(found.usage), True

    def _anthropic_event(self, kind: str, event: object) -> None:
        if kind == "message_start":
            found = take(look(event, "message"))
            self._see(found)
            self._usage = None if found.usage is None else to_mapping(found.usage)
        elif kind == "message_delta" and look(event, "usage") is not None:
            # Its counts are of the whole message so far, and it leaves out what the start has said.
            self._usage = (self._usage or {}) | to_mapping(look(event, "usage"))
            self.complete = look(look(event, "delta"), "stop_reason") is not None
        elif kind == "content_block_delta":
            delta = look(event, "delta")
            self._text(look(delta, "text", "partial_json", "thinking"))

    def _gemini_chunk(self, chunk: object) -> None:
        found = take(chunk)
        self._see(found)
        if found.usage is not None:
            usage = to_mapping(found.usage)
            # One name for each, so that what is seen later replaces what was seen before.
            count = usage.pop("candidatesTokenCount", None)
            self._usage = usage if count is None else usage | {"candidates_token_count": count}
        for candidate in look(chunk, "candidates") or ():
            for part in look(look(candidate, "content"), "parts") or ():
                self._text(look(part, "text"))
            if look(candidate, "finish_reason", "finishReason") is not None and found.usage is not None:
                self.complete = True

    def _see(self, found: Reported) -> None:
        """Keeps what was said of provider and model; later chunks may leave them out, or say the service tier."""
        self._seen = Reported(
            found.provider or self._seen.provider,
            found.model or self._seen.model,
            found.shape or self._seen.shape,
            None,
            found.service_tier if found.service_tier is not None else self._seen.service_tier,
            found.operation or self._seen.operation,
        )

    def _text(self, text: object) -> None:
        if isinstance(text, str):
            self.output_bytes += len(text.encode("utf-8", "replace"))
