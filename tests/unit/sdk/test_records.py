from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from spendstream_sdk.records import Event, Record, Unusable, to_event
from spendstream_sdk.scopes import Scope

from services.contracts.admission import admit
from services.contracts.json_event import decode_event

CALL = {"provider": "openai", "model": "gpt-4o"}


def event_of(scope: Scope = Scope(), defaults: dict[str, str] | None = None, **fields: Any) -> Event:  # noqa: ANN401, B008
    record = Record(7, 1_700_000_000_123_456_789, scope, {**CALL, "prompt_tokens": 1, **fields})
    return to_event(record, {"tenant_id": "acme"} if defaults is None else defaults)


def test_plain_usage_becomes_disjoint_classes() -> None:
    event = event_of(prompt_tokens=1_000, cached_tokens=100, completion_tokens=200, reasoning_tokens=50)
    assert event["usage"] == {"input_uncached": 900, "cache_read": 100, "output_text": 150, "output_reasoning": 50}


def test_an_event_is_what_the_door_accepts() -> None:
    event = event_of(
        units={"web_searches": 2}, status="timeout", service_tier="batch", attempt=2, retry_count=1, latency_ms=12,
        superseded=True, cache_hit=False, metadata={"build": "7"}, reported_cost_usd="0.01", feature="chat",
    )  # fmt: skip
    assert admit(decode_event(event)) is None
    assert event["event_id"] == "00000000-0000-0000-0000-000000000007"
    assert event["occurred_at"] == "2023-11-14T22:13:20.123456Z"


def test_what_is_none_or_empty_is_left_out() -> None:
    assert "completion_tokens" not in event_of(completion_tokens=None, feature="", user_id=None)
    assert event_of(completion_tokens=None)["usage"] == {"input_uncached": 1}


def test_a_call_goes_before_its_scope_and_the_scope_before_defaults() -> None:
    scope = Scope("run-1", "planner", "agent:planner")
    defaults = {"tenant_id": "acme", "agent_id": "nobody", "feature": "chat"}
    event = event_of(scope, defaults, feature="search")
    assert (event["run_id"], event["agent_id"], event["feature"]) == ("run-1", "planner", "search")
    assert event_of(scope, defaults, agent_id="other")["agent_id"] == "other"


def test_the_moment_of_a_call_can_be_given() -> None:
    at = datetime(2026, 10, 1, 12, tzinfo=UTC)
    assert event_of(occurred_at=at)["occurred_at"] == "2026-10-01T12:00:00.000000Z"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"prompt_tokens": -1}, "prompt_tokens must be a whole number"),
        ({"prompt_tokens": True}, "prompt_tokens must be a whole number"),
        ({"prompt_tokens": 1.5}, "prompt_tokens must be a whole number"),
        ({"cached_tokens": 2}, r"cached_tokens \(2\) is more than prompt_tokens \(1\)"),
        ({"usage": {"input_uncached": 1}}, "not both"),
        ({"prompt_tokens": None}, "there is no usage"),
        ({"prompt_tokens": None, "usage": {"inputs": 1}}, "usage has no class inputs"),
        ({"prompt_tokens": None, "usage": 7}, "usage must be a mapping"),
        ({"featur": "chat"}, "a call has no field featur"),
        ({"feature": 7}, "feature must be text"),
        ({"feature": "\ud800"}, "half a character"),
        ({"status": "fine"}, "status must be one of"),
        ({"model": None}, "model is missing"),
        ({"attempt": 2**31}, "attempt must be a whole number"),
        ({"streaming": "yes"}, "streaming must be true or false"),
        ({"metadata": "x"}, "metadata must be a mapping"),
        ({"occurred_at": datetime(2026, 1, 1)}, "time zone"),  # noqa: DTZ001
    ],
)
def test_what_cannot_be_an_event_is_refused_with_its_field(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(Unusable, match=words):
        event_of(**fields)


def test_without_a_tenant_there_is_no_event() -> None:
    with pytest.raises(Unusable, match="tenant_id is missing"):
        event_of(defaults={})


VENDORS: dict[str, dict[str, Any]] = {
    "anthropic": {"input_tokens": 9, "cache_read_input_tokens": 4, "output_tokens": 2, "service_tier": "batch"},
    "gemini": {"promptTokenCount": 9, "cachedContentTokenCount": 4, "candidatesTokenCount": 2},
    "nothing used": {"input_tokens": 0, "output_tokens": 0},
    "a search": {"input_tokens": 0, "output_tokens": 0, "server_tool_use": {"web_search_requests": 3}},
}


@pytest.mark.parametrize("name", VENDORS)
def test_a_vendors_usage_is_read_as_the_door_reads_it(name: str) -> None:
    sent = decode_event(event_of(prompt_tokens=None, vendor_usage=VENDORS[name]))
    raw = {key: value for key, value in event_of().items() if key != "usage"} | {"vendor_usage": VENDORS[name]}
    assert sent == decode_event(raw)
    assert admit(sent) is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"vendor_usage": {"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 2}}}, "is 1, less than its"),
        ({"vendor_usage": {"tokens": 1}}, "no vendor's usage has these keys: tokens"),
        ({"vendor_usage": [1]}, "usage must be an object"),
        ({"vendor_usage": {"prompt_tokens": 1}, "units": {"web_searches": 1}}, "give vendor_usage or units, not both"),
        ({"vendor_usage": {"prompt_tokens": 1}, "vendor_usage_shape": "cohere"}, "vendor_usage_shape must be one of"),
        ({"usage": {"output_text": 1}, "vendor_usage_shape": "gemini"}, "vendor_usage, which is not given"),
        ({"vendor_usage": VENDORS["anthropic"], "service_tier": "flex"}, "is flex, vendor_usage says batch"),
    ],
)
def test_a_vendors_usage_that_can_not_be_right_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(Unusable, match=words):
        event_of(prompt_tokens=None, **fields)
