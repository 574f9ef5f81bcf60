"""What proto/examples does not show: values that are well-formed in more than one way."""

from __future__ import annotations

from typing import Any

import pytest

from services.contracts.json_event import EventRefused, decode_event
from services.contracts.json_strict import MalformedJson, parse_json

EVENT: dict[str, Any] = {
    "event_id": "e-1",
    "occurred_at": "2026-10-01T12:30:00Z",
    "tenant_id": "acme",
    "provider": "openai",
    "model": "gpt-4o",
}


@pytest.mark.parametrize(
    ("text", "seconds", "nanos"),
    [
        ("2026-10-01T12:30:00Z", 1_790_857_800, 0),
        ("2026-10-01t12:30:00z", 1_790_857_800, 0),
        ("2026-10-01 12:30:00Z", 1_790_857_800, 0),
        ("2026-10-01T18:00:00+05:30", 1_790_857_800, 0),
        ("2026-10-01T12:30:00.5Z", 1_790_857_800, 500_000_000),
        ("2026-10-01T12:30:00.123456789Z", 1_790_857_800, 123_456_789),
        ("1969-12-31T23:59:59.25Z", -1, 250_000_000),
    ],
)
def test_a_time_is_read_to_the_nanosecond(text: str, seconds: int, nanos: int) -> None:
    at = decode_event({**EVENT, "occurred_at": text}).occurred_at
    assert (at.seconds, at.nanos) == (seconds, nanos)


@pytest.mark.parametrize("milliseconds", [0, 1_790_857_800_250, -1])
def test_a_whole_number_is_milliseconds_since_the_epoch(milliseconds: int) -> None:
    at = decode_event({**EVENT, "occurred_at": milliseconds}).occurred_at
    assert at.seconds * 1_000 + at.nanos // 1_000_000 == milliseconds


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "2026-10-01",
        "20261001T123000Z",
        "2026-W40-4T00:00:00Z",
        "2026-10-01T24:00:00Z",
        "2026-10-01T12:30:60Z",
        "2026-10-01T12:30:00.1234567890Z",
        "2026-10-01T12:30:00+25:00",
        "2026-10-01T12:30:00 Z",
        "",
        "٢٠٢٦-10-01T12:30:00Z",
    ],
)
def test_what_is_not_rfc_3339_is_refused(text: str) -> None:
    with pytest.raises(EventRefused, match="occurred_at"):
        decode_event({**EVENT, "occurred_at": text})


@pytest.mark.parametrize(
    ("given", "canonical"),
    [("0.10", "0.1"), ("1", "1"), (3, "3"), ("1e-5", "0.00001"), ("0.000", "0"), ("1E+2", "100"), ("00.5", "0.5")],
)
def test_a_reported_cost_becomes_canonical(given: object, canonical: str) -> None:
    assert decode_event({**EVENT, "reported_cost_usd": given}).reported_cost_usd == canonical


def test_a_reported_cost_given_as_a_number_keeps_every_digit() -> None:
    value = parse_json(b'{"reported_cost_usd": 0.1000000000000000055511151231257827}')
    assert decode_event({**EVENT, **value}).reported_cost_usd == "0.1000000000000000055511151231257827"


@pytest.mark.parametrize("given", ["NaN", "Infinity", "1e999999999", "1e-999999999", "9" * 100, "much", "", "1_0" * 40])
def test_a_reported_cost_that_is_no_amount_is_refused(given: str) -> None:
    with pytest.raises(EventRefused, match="reported_cost_usd must be a decimal"):
        decode_event({**EVENT, "reported_cost_usd": given})


def test_a_negative_count_of_the_simple_form_is_said_once() -> None:
    with pytest.raises(EventRefused, match=r"^prompt_tokens must not be negative, it is -5$"):
        decode_event({**EVENT, "prompt_tokens": -5})


def test_all_wrong_fields_are_named_at_once() -> None:
    with pytest.raises(EventRefused) as refused:
        decode_event({**EVENT, "attempt": "1", "streaming": 1, "tier": "x"})
    reasons = str(refused.value)
    assert all(name in reasons for name in ("attempt must be", "streaming must be", "tier is not a field"))


@pytest.mark.parametrize("value", [None, True, 1, "text", [1]])
def test_an_event_must_be_an_object(value: object) -> None:
    with pytest.raises(EventRefused, match="must be an object"):
        decode_event(value)


def test_a_name_given_twice_spoils_only_its_event() -> None:
    bad, good = parse_json(b'[{"event_id": "a", "event_id": "b"}, {"event_id": "c"}]')
    with pytest.raises(EventRefused, match="event_id is given twice"):
        decode_event(bad)
    assert good == {"event_id": "c"}


def test_usage_given_twice_is_refused() -> None:
    value = parse_json(b'{"usage": {"cache_read": 1, "cache_read": 2}}')
    with pytest.raises(EventRefused, match=r"usage\.cache_read is given twice"):
        decode_event(value)


def test_a_reason_shows_little_of_a_long_unknown_name() -> None:
    with pytest.raises(EventRefused) as refused:
        decode_event({**EVENT, "x" * 10_000: 1})
    assert len(str(refused.value)) < 150


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"[1,", "line 1 column 4"),
        (b'{"a":\n nope}', "line 2 column 2"),
        (b"\xff", "not UTF-8 at byte 0"),
        (b"[" * 100_000, "nested too deeply"),
        (b"9" * 5_000, "too many digits"),
        (b"", "line 1 column 1"),
        (b"{} {}", "Extra data"),
    ],
)
def test_malformed_json_says_where(body: bytes, complaint: str) -> None:
    with pytest.raises(MalformedJson, match=complaint):
        parse_json(body)


def test_a_count_given_twice_in_a_vendors_usage_is_refused_wherever_it_stands() -> None:
    text = b'{"vendor_usage": {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 1, "cached_tokens": 2}}}'
    with pytest.raises(EventRefused, match=r"prompt_tokens_details\.cached_tokens is given twice"):
        decode_event({**EVENT, **parse_json(text)})


def test_a_vendors_call_that_used_nothing_is_one_that_used_nothing() -> None:
    event = decode_event({**EVENT, "vendor_usage": {"prompt_tokens": 0, "completion_tokens": 0}})
    assert event.usage.HasField("input_uncached") and not event.usage.input_uncached


@pytest.mark.parametrize("given", [None, 5, "text", [], {}, True])
def test_a_vendors_usage_that_is_no_object_is_refused(given: object) -> None:
    with pytest.raises(EventRefused, match="vendor_usage"):
        decode_event({**EVENT, "vendor_usage": given})
