"""The rules of admission at their edges, on events as protobuf brings them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from services.contracts import limits
from services.contracts.admission import OCCURRED_SECONDS_MAX, OCCURRED_SECONDS_MIN, TEXT_LIMITS, admit
from services.contracts.stubs.spendstream.v1 import usage_pb2

Change = Callable[[usage_pb2.UsageEvent], object]


def an_event() -> usage_pb2.UsageEvent:
    event = usage_pb2.UsageEvent(event_id="e-1", tenant_id="acme", provider="openai", model="gpt-4o")
    event.occurred_at.seconds = 1_790_857_800
    event.usage.input_uncached = 10
    return event


def test_a_small_event_is_admitted() -> None:
    assert admit(an_event()) is None


def test_every_text_of_the_proto_has_a_limit() -> None:
    fields = usage_pb2.UsageEvent.DESCRIPTOR.fields
    texts = {f.name for f in fields if f.type == f.TYPE_STRING}
    assert texts == {*TEXT_LIMITS, "reported_cost_usd"}


@pytest.mark.parametrize("name", sorted(TEXT_LIMITS))
def test_a_text_may_be_as_long_as_its_limit_and_no_longer(name: str) -> None:
    event = an_event()
    setattr(event, name, "ß" * TEXT_LIMITS[name])
    assert admit(event) is None
    setattr(event, name, "ß" * (TEXT_LIMITS[name] + 1))
    assert admit(event) == f"{name} has {TEXT_LIMITS[name] + 1} characters, at most {TEXT_LIMITS[name]} are allowed"


@pytest.mark.parametrize("name", sorted(TEXT_LIMITS))
def test_no_text_contains_nul(name: str) -> None:
    event = an_event()
    setattr(event, name, "a\0")
    assert admit(event) == f"{name} contains a NUL character"


def _at(seconds: int, nanos: int = 0) -> Change:
    def change(event: usage_pb2.UsageEvent) -> None:
        event.occurred_at.seconds, event.occurred_at.nanos = seconds, nanos

    return change


@pytest.mark.parametrize(
    "change",
    [
        _at(OCCURRED_SECONDS_MIN),
        _at(OCCURRED_SECONDS_MAX - 1, 999_999_999),
        lambda e: setattr(e.usage, "output_text", limits.COUNT_MAX),
        lambda e: e.usage.units.update({f"u{i}": 1 for i in range(limits.UNITS_ENTRIES_MAX)}),
        lambda e: e.metadata.update({f"k{i}": "" for i in range(limits.METADATA_ENTRIES_MAX)}),
        lambda e: e.metadata.update({"k" * limits.METADATA_KEY_MAX: "v" * limits.METADATA_VALUE_MAX}),
        lambda e: setattr(e, "attempt", limits.ATTEMPT_MAX),
        lambda e: setattr(e, "latency_ms", limits.LATENCY_MS_MAX),
        lambda e: setattr(e, "reported_cost_usd", "9" * 12 + "." + "9" * 30),
        lambda e: e.usage.CopyFrom(usage_pb2.Usage(cache_read=0)),
        lambda e: e.usage.CopyFrom(usage_pb2.Usage(units={"requests": 0})),
    ],
)
def test_what_is_just_within_the_limits_is_admitted(change: Change) -> None:
    event = an_event()
    change(event)
    assert admit(event) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda e: e.ClearField("event_id"), "event_id is required"),
        (lambda e: e.ClearField("tenant_id"), "tenant_id is required"),
        (lambda e: e.ClearField("provider"), "provider is required"),
        (lambda e: e.ClearField("model"), "model is required"),
        (lambda e: e.ClearField("occurred_at"), "occurred_at is required"),
        (lambda e: e.ClearField("usage"), "usage is required: at least one usage class or unit"),
        (_at(OCCURRED_SECONDS_MIN - 1), "occurred_at is not within the years 2000 to 2099"),
        (_at(OCCURRED_SECONDS_MAX), "occurred_at is not within the years 2000 to 2099"),
        (_at(1_790_857_800, -1), "occurred_at.nanos must be 0..999999999"),
        (_at(1_790_857_800, 1_000_000_000), "occurred_at.nanos must be 0..999999999"),
        (lambda e: setattr(e.usage, "cache_read", -1), "usage.cache_read must be 0..1000000000, not -1"),
        (lambda e: e.usage.units.update({"": 1}), "usage.units has an entry without a name"),
        (lambda e: e.usage.units.update({"x": -1}), "usage.units.x must be 0..1000000000, not -1"),
        (lambda e: e.usage.units.update(dict.fromkeys("abcdefghijklmnopq", 1)),
         "usage.units has 17 entries, at most 16 are allowed"),
        (lambda e: setattr(e, "attempt", -1), "attempt must be 0..10000, not -1"),
        (lambda e: setattr(e, "retry_count", 10_001), "retry_count must be 0..10000, not 10001"),
        (lambda e: setattr(e, "latency_ms", -1), "latency_ms must be 0..86400000, not -1"),
        (lambda e: setattr(e, "status", 99), "status 99 is not known"),
        (lambda e: setattr(e, "service_tier", 99), "service_tier 99 is not known"),
        (lambda e: e.metadata.update({"": "x"}), "metadata has an entry without a name"),
        (lambda e: e.metadata.update({"k": "v" * 201}), "metadata.k has 201 characters, at most 200 are allowed"),
        (lambda e: e.metadata.update({"k": "\0"}), "metadata.k contains a NUL character"),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_refused_by_its_name(change: Change, reason: str) -> None:
    event = an_event()
    change(event)
    assert admit(event) == reason


@pytest.mark.parametrize("cost", ["1e-5", ".5", "5.", "-1", "+1", "NaN", "1,5", " 1", "9" * 13, "0." + "9" * 31, "١"])
def test_a_reported_cost_must_be_a_plain_decimal(cost: str) -> None:
    event = an_event()
    event.reported_cost_usd = cost
    assert "reported_cost_usd must be a plain decimal" in str(admit(event))


def test_every_broken_rule_is_named() -> None:
    assert admit(usage_pb2.UsageEvent()) == (
        "event_id is required; tenant_id is required; provider is required; model is required; "
        "occurred_at is required; usage is required: at least one usage class or unit"
    )
