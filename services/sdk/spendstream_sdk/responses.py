"""Responses of OpenAI's, Anthropic's and Google's libraries: what they say was used, and by which model.

No vendor's library is imported; an object is told by what it has, and its plain JSON form will do too. `take` runs in
the caller's thread and only picks out the usage, so that no text of the response stays in the queue; `read` runs in
the sender's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from spendstream_sdk.normalise import SHAPES, Shape, Usage, UsageShapeError, normalise, shape_of

# What OpenAI's objects call themselves → what is done with such a call.
_OPENAI_KINDS = {
    "chat.completion": "chat",
    "chat.completion.chunk": "chat",
    "response": "chat",
    "text_completion": "text_completion",
    "list": "embeddings",
}
_DEPTH_MAX = 4


class Reported(NamedTuple):
    """What a response says. `usage` is its own object, not read yet; None where it says none. `unreadable` is why
    the object is no response of a model, '' where it is one."""

    provider: str = ""
    model: str = ""
    shape: str = ""
    usage: object = None
    service_tier: object = None
    operation: str = ""
    unreadable: str = ""


def look(thing: object, *names: str) -> Any:  # noqa: ANN401 - whatever a vendor has there
    """The first of these attributes (or keys, of JSON) that is there and not None."""
    for name in names:
        value = thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
        if value is not None:
            return value
    return None


def take(response: object) -> Reported:
    """Picks out what matters; never raises."""
    try:
        return _take(response)
    except Exception as error:
        return Reported(unreadable=f"{type(response).__name__} can't be read: {error}")


def _take(response: object) -> Reported:
    usage, model = look(response, "usage"), look(response, "model")
    kind = look(response, "object")
    if kind in _OPENAI_KINDS:
        shape = "openai_responses" if kind == "response" else ""
        return Reported("openai", model or "", shape, usage, look(response, "service_tier"), _OPENAI_KINDS[kind])
    if look(response, "type") == "message" and look(response, "role") == "assistant":
        return Reported("anthropic", model or "", "anthropic", usage, None, "chat")
    metadata = look(response, "usage_metadata", "usageMetadata")
    model_version = look(response, "model_version", "modelVersion")
    if metadata is not None or model_version is not None or look(response, "candidates") is not None:
        return Reported("google", model_version or "", "gemini", metadata, None, "generate_content")
    if usage is not None:  # a vendor that is none of these: the caller says which, its usage tells its own shape
        return Reported("", model or "", "", usage, look(response, "service_tier"), "")
    return Reported(unreadable=f"{type(response).__name__} is no response of a model that says its usage")


def read(reported: Reported) -> Usage | None:
    """The disjoint classes; None where the response says no usage, or none but zeros, which is no usage either.

    Raises UsageShapeError.
    """
    if reported.usage is None:
        return None
    usage = to_mapping(reported.usage)
    if reported.service_tier is not None:
        usage.setdefault("service_tier", reported.service_tier)
    shape = cast("Shape", reported.shape) if reported.shape in SHAPES else None
    found = normalise(usage, shape)
    return found if found.classes or found.units else None


def provider_of(reported: Reported) -> str:
    """The response's provider; DeepSeek speaks through OpenAI's library, but its usage has keys of its own."""
    if reported.usage is None or reported.shape:
        return reported.provider
    try:
        shape = shape_of(to_mapping(reported.usage))
    except UsageShapeError:
        return reported.provider
    return "deepseek" if shape == "deepseek" else reported.provider


def to_mapping(usage: object) -> dict[str, Any]:
    """A vendor's usage object as JSON has it. Raises UsageShapeError for what is none."""
    found = _plain(usage, _DEPTH_MAX)
    if not isinstance(found, dict):
        raise UsageShapeError(f"usage must be an object, not {type(usage).__name__}")
    return found


def _plain(value: object, depth: int) -> Any:  # noqa: ANN401
    if value is None or isinstance(value, str | int | float) or depth == 0:
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(each, depth - 1) for name, each in value.items() if each is not None}
    if isinstance(value, Sequence):
        return [_plain(each, depth - 1) for each in value]
    dump = getattr(value, "model_dump", None)
    if callable(dump):  # pydantic's, of which all three libraries make their objects
        return dump(mode="json", exclude_none=True, warnings=False)
    members = getattr(value, "__dict__", None)
    return _plain(members, depth) if isinstance(members, dict) else value
