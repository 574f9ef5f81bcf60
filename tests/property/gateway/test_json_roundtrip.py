"""Laws of the JSON form, on events made up by hypothesis."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pricing.usage import USAGE_CLASSES
from services.contracts.admission import OCCURRED_SECONDS_MAX, OCCURRED_SECONDS_MIN, TEXT_LIMITS, admit
from services.contracts.json_event import EventRefused, decode_event, encode_event
from services.contracts.json_strict import MalformedJson, parse_json
from services.contracts.stubs.spendstream.v1 import usage_pb2

# Speed is not what is tested here, and the machine may be busy.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
INT64 = st.integers(-(2**63), 2**63 - 1)
INT32 = st.integers(-(2**31), 2**31 - 1)
COSTS = st.decimals(0, 10**9, places=9).map(lambda d: format(d.normalize(), "f")) | st.just("")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


@st.composite
def usages(draw: st.DrawFn) -> usage_pb2.Usage:
    counts: dict[str, Any] = draw(st.dictionaries(st.sampled_from(USAGE_CLASSES), INT64))
    return usage_pb2.Usage(**counts, units=draw(st.dictionaries(TEXT, INT64, max_size=3)))


@st.composite
def events(draw: st.DrawFn) -> usage_pb2.UsageEvent:
    """Well-formed, not necessarily acceptable."""
    fields: dict[str, Any] = draw(st.dictionaries(st.sampled_from(sorted(TEXT_LIMITS)), TEXT))
    fields |= draw(st.dictionaries(st.sampled_from(["attempt", "retry_count"]), INT32))
    flags = ["superseded", "cache_hit", "streaming", "tokens_estimated"]
    fields |= draw(st.dictionaries(st.sampled_from(flags), st.booleans()))
    return usage_pb2.UsageEvent(
        **fields,
        occurred_at=draw(
            st.none()
            | st.builds(
                Timestamp,
                seconds=st.integers(OCCURRED_SECONDS_MIN, OCCURRED_SECONDS_MAX - 1),
                nanos=st.integers(0, 999_999_999),
            )
        ),
        usage=draw(st.none() | usages()),
        latency_ms=draw(st.none() | INT64),
        status=draw(st.sampled_from(usage_pb2.Status.keys())),
        service_tier=draw(st.sampled_from(usage_pb2.ServiceTier.keys())),
        reported_cost_usd=draw(COSTS),
        metadata=draw(st.dictionaries(TEXT, TEXT, max_size=3)),
    )


@patient
@given(events())
def test_decoding_undoes_encoding(event: usage_pb2.UsageEvent) -> None:
    assert decode_event(parse_json(json.dumps(encode_event(event)).encode())) == event


@patient
@given(events())
def test_equal_content_gives_equal_bytes(event: usage_pb2.UsageEvent) -> None:
    shuffled = dict(reversed(encode_event(event).items()))
    assert decode_event(shuffled).SerializeToString(deterministic=True) == event.SerializeToString(deterministic=True)


@patient
@given(events())
def test_admission_answers_every_well_formed_event(event: usage_pb2.UsageEvent) -> None:
    reason = admit(event)
    assert reason is None or reason


@patient
@given(st.dictionaries(st.sampled_from([*TEXT_LIMITS, "usage", "occurred_at", "attempt", "metadata", "status"]), JSON))
def test_whatever_is_sent_is_read_or_refused_by_name(value: dict[str, Any]) -> None:
    reason = None
    try:
        decode_event(parse_json(json.dumps(value).encode()))
    except EventRefused as refused:
        reason = str(refused)
    assert reason is None or any(name in reason for name in value)


@patient
@given(st.binary(max_size=200))
def test_any_bytes_are_json_or_said_to_be_malformed(body: bytes) -> None:
    complaint = None
    try:
        parse_json(body)
    except MalformedJson as malformed:
        complaint = str(malformed)
    assert complaint != ""


@patient
@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_the_simple_form_neither_loses_nor_invents_tokens(
    prompt: int, cached: int, completion: int, reasoning: int
) -> None:
    simple = {
        "prompt_tokens": prompt + cached,
        "cached_tokens": cached,
        "completion_tokens": completion + reasoning,
        "reasoning_tokens": reasoning,
    }
    usage = decode_event(simple).usage
    assert (usage.input_uncached, usage.cache_read) == (prompt, cached)
    assert (usage.output_text, usage.output_reasoning) == (completion, reasoning)


@patient
@given(st.decimals(0, 10**11, allow_nan=False, allow_infinity=False, places=12))
def test_a_reported_cost_keeps_its_value(cost: Decimal) -> None:
    written = decode_event({"reported_cost_usd": str(cost)}).reported_cost_usd
    assert Decimal(written) == cost
    assert "E" not in written
