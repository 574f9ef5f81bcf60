"""From what a caller recorded to an event: checked, in disjoint usage classes. Pure; runs in the sender's thread."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from spendstream_sdk.ids import to_text
from spendstream_sdk.normalise import SHAPES, UsageShapeError, normalise
from spendstream_sdk.responses import Reported, provider_of, read
from spendstream_sdk.scopes import Scope

Event = dict[str, Any]
USAGE_CLASSES = frozenset(
    ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h", "output_text", "output_reasoning",
     "input_audio", "output_audio", "input_image", "output_image")
)  # fmt: skip
_COUNT_MAX = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SIMPLE = ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens")
_USAGE = frozenset((*_SIMPLE, "usage", "units", "vendor_usage", "vendor_usage_shape"))
_INTEGERS = {"attempt": 10_000, "retry_count": 10_000, "latency_ms": 86_400_000}
_CHOICES = {
    "status": frozenset(("ok", "error", "timeout", "cancelled")),
    "service_tier": frozenset(("standard", "batch", "flex", "priority")),
}
_TEXTS = frozenset(
    ("tenant_id", "provider", "model", "feature", "agent_id", "section_path", "run_id", "request_id", "customer_id",
     "user_id", "channel", "region", "operation", "error_type", "prompt_template_id", "prompt_template_version",
     "source", *_CHOICES)
)  # fmt: skip
_FLAGS = frozenset(("superseded", "cache_hit", "streaming", "tokens_estimated"))
_REQUIRED = ("tenant_id", "provider", "model")


class Unusable(ValueError):
    """What was recorded can't become an event; the text says which field and why."""


class Record(NamedTuple):
    """A call as the caller's thread left it. `fields` are `record`'s arguments; nothing is checked yet. `reported` is
    what was picked out of a vendor's response, if there was one.

    A tuple, as making one costs the caller a third of a frozen dataclass.
    """

    event_id: int
    time_ns: int
    scope: Scope
    fields: Mapping[str, Any]
    reported: Reported | None = None


def to_event(record: Record, defaults: Mapping[str, str]) -> Event:
    """The event in the door's JSON form; what is None or empty is left out. Raises Unusable."""
    given = {name: value for name, value in record.fields.items() if value is not None and value != ""}
    event: Event = {"event_id": to_text(record.event_id), "occurred_at": _rfc3339(given, record.time_ns)}
    event |= defaults
    event |= {name: value for name, value in _scope_fields(record.scope).items() if value}
    service_tier = ""
    if record.reported is not None:
        usage, said = _reported_usage(record.reported, given)
        given = {name: value for name, value in said.items() if value} | given
    elif "vendor_usage" in given:
        usage, service_tier = _vendor_usage(given)
    else:
        usage = _usage(given)
    for name, value in given.items():
        if name not in _USAGE and name != "occurred_at":
            event[name] = _checked(name, value)
    if service_tier and event.setdefault("service_tier", service_tier) != service_tier:
        raise Unusable(f"service_tier is {event['service_tier']}, vendor_usage says {service_tier}")
    missing = [name for name in _REQUIRED if not event.get(name)]
    if missing:
        raise Unusable(f"{', '.join(missing)} is missing")
    event["usage"] = usage
    return event


def _scope_fields(scope: Scope) -> dict[str, str | None]:
    return {"run_id": scope.run_id, "agent_id": scope.agent_id, "section_path": scope.section_path}


def _reported_usage(reported: Reported, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Usage and what else the response says. Counts the caller gave are for when it says no usage: an estimate."""
    if reported.unreadable:
        raise Unusable(reported.unreadable)
    if "vendor_usage" in given:
        raise Unusable("give a response or vendor_usage, not both")
    said: dict[str, Any] = {
        "provider": provider_of(reported), "model": reported.model, "operation": reported.operation
    }  # fmt: skip
    try:
        found = read(reported)
    except UsageShapeError as error:
        raise Unusable(f"the response's usage: {error}") from None
    if found is None:
        if "prompt_tokens" not in given and not given.get("usage"):
            raise Unusable(
                "the response says no usage: ask for it (OpenAI streams: stream_options={'include_usage': True}), "
                "or give prompt_tokens for an estimate"
            )
        return _usage(given), {**said, "tokens_estimated": True}
    units = {**found.units, **_units(given)}
    usage: dict[str, Any] = {**found.classes, **({"units": units} if units else {})}
    estimated = bool(given.get("tokens_estimated"))
    return usage, {**said, "service_tier": found.service_tier, "tokens_estimated": estimated}


def _rfc3339(given: Mapping[str, Any], time_ns: int) -> str:
    at = given.get("occurred_at")
    if at is None:
        at = _EPOCH + timedelta(microseconds=time_ns // 1_000)
    elif not isinstance(at, datetime) or at.tzinfo is None:
        raise Unusable("occurred_at must be a datetime with a time zone")
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _usage(given: Mapping[str, Any]) -> dict[str, Any]:
    """Disjoint classes: cached tokens come out of the prompt's, reasoning tokens out of the completion's."""
    simple = {name: _count(name, given[name]) for name in _SIMPLE if name in given}
    usage: dict[str, Any] = {}
    if "vendor_usage_shape" in given:
        raise Unusable("vendor_usage_shape is the shape of vendor_usage, which is not given")
    if "usage" in given:
        if simple:
            raise Unusable("give usage or prompt_tokens and completion_tokens, not both")
        usage = _classes(given["usage"])
    for whole, part, rest_class, part_class in (
        ("prompt_tokens", "cached_tokens", "input_uncached", "cache_read"),
        ("completion_tokens", "reasoning_tokens", "output_text", "output_reasoning"),
    ):
        part_count = simple.get(part, 0)
        if part_count > simple.get(whole, 0):
            raise Unusable(f"{part} ({part_count}) is more than {whole} ({simple.get(whole, 0)}), which it is part of")
        if whole in simple:
            usage[rest_class] = simple[whole] - part_count
            usage |= {part_class: part_count} if part_count else {}
    if units := _units(given):
        usage["units"] = units
    if not usage:
        raise Unusable("there is no usage: give prompt_tokens and completion_tokens, usage or units")
    return usage


def _vendor_usage(given: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """What the vendor says was used, in disjoint classes, and the service tier if it says that; as the doors do it."""
    beside = [name for name in (*_SIMPLE, "usage", "units") if name in given]
    if beside:
        raise Unusable(f"give vendor_usage or {', '.join(beside)}, not both")
    shape = given.get("vendor_usage_shape")
    if shape is not None and shape not in SHAPES:
        raise Unusable(f"vendor_usage_shape must be one of {', '.join(SHAPES)}")
    try:
        used = normalise(given["vendor_usage"], shape)
    except UsageShapeError as error:
        raise Unusable(f"vendor_usage: {error}") from None
    # A call that used nothing differs from one that doesn't say.
    usage: dict[str, Any] = dict(used.classes) or ({} if used.units else {"input_uncached": 0})
    return usage | ({"units": dict(used.units)} if used.units else {}), used.service_tier


def _units(given: Mapping[str, Any]) -> dict[str, int]:
    units = given.get("units") or {}
    if not isinstance(units, Mapping):
        raise Unusable("units must be a mapping of names to counts")
    return {str(name): _count(f"units.{name}", count) for name, count in units.items()}


def _classes(usage: object) -> dict[str, Any]:
    if not isinstance(usage, Mapping):
        raise Unusable("usage must be a mapping of usage classes to counts")
    unknown = sorted(str(name) for name in usage if name not in USAGE_CLASSES)
    if unknown:
        raise Unusable(f"usage has no class {', '.join(unknown)}")
    return {name: _count(f"usage.{name}", count) for name, count in usage.items() if count is not None}


def _count(name: str, value: object, limit: int = _COUNT_MAX) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= limit:
        raise Unusable(f"{name} must be a whole number from 0 to {limit}, not {value!r:.40}")
    return value


def _checked(name: str, value: object) -> object:
    if name in _INTEGERS:
        return _count(name, value, _INTEGERS[name])
    if name in _TEXTS:
        return _text(name, value)
    if name in _FLAGS:
        if not isinstance(value, bool):
            raise Unusable(f"{name} must be true or false, not {value!r:.40}")
        return value
    if name == "metadata":
        if not isinstance(value, Mapping):
            raise Unusable("metadata must be a mapping of short texts")
        return {_text(name, str(key)): _text(name, str(text)) for key, text in value.items()}
    if name == "reported_cost_usd":
        return _text(name, str(value))
    raise Unusable(f"a call has no field {name}")


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise Unusable(f"{name} must be text, not {value!r:.40}")
    if name in _CHOICES and value not in _CHOICES[name]:
        raise Unusable(f"{name} must be one of {', '.join(sorted(_CHOICES[name]))}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Unusable(f"{name} contains half a character (a lone surrogate)") from None
    return value
