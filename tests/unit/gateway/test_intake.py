"""From a request's bytes to what is admitted and what is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.contracts.keys import Principal
from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.gateway.intake import BatchTooLarge, MalformedBatch, RejectedEvent, intake_json, intake_protobuf
from services.gateway.settings import BATCH_EVENTS_MAX

ACME = Principal("k-1", "acme's services", "ingest", "acme")
ADMIN = Principal("k-2", "operator", "admin", None)


def an_event(event_id: str = "e-1", **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    event = {
        "event_id": event_id,
        "occurred_at": "2026-10-01T12:30:00Z",
        "tenant_id": "acme",
        "provider": "openai",
        "model": "gpt-4o",
        "prompt_tokens": 10,
    }
    return {name: value for name, value in {**event, **changes}.items() if value is not None}


def a_proto(event_id: str = "e-1", tenant_id: str = "acme") -> usage_pb2.UsageEvent:
    event = usage_pb2.UsageEvent(event_id=event_id, tenant_id=tenant_id, provider="openai", model="gpt-4o")
    event.occurred_at.seconds = 1_790_857_800
    event.usage.input_uncached = 10
    return event


def a_request(*events: usage_pb2.UsageEvent) -> bytes:
    return usage_pb2.RecordUsageRequest(batch=usage_pb2.UsageBatch(events=events)).SerializeToString()


def ids(payloads: list[bytes]) -> list[str]:
    return [usage_pb2.UsageEvent.FromString(payload).event_id for payload in payloads]


def dumps(value: object) -> bytes:
    return json.dumps(value).encode()


def test_one_object_is_a_batch_of_one() -> None:
    assert ids(intake_json(dumps(an_event()), "json", ACME).admitted["acme"]) == ["e-1"]


def test_neighbours_of_a_bad_event_are_admitted_in_their_order() -> None:
    body = dumps([an_event("a"), an_event("b", typo=1), an_event("c", model=""), 7, an_event("d")])
    intake = intake_json(body, "json", ACME)
    assert ids(intake.admitted["acme"]) == ["a", "d"]
    assert intake.rejected == [
        RejectedEvent(1, "b", "typo is not a field of a usage event"),
        RejectedEvent(2, "c", "model is required"),
        RejectedEvent(3, "", "an event must be an object, not a number"),
    ]


def test_a_line_that_is_no_json_spoils_only_itself() -> None:
    body = b"\n".join([dumps(an_event("a")), b"{nope", b"", b"  ", dumps(an_event("b")), b""])
    intake = intake_json(body, "ndjson", ACME)
    assert ids(intake.admitted["acme"]) == ["a", "b"]
    assert [(r.index, r.event_id) for r in intake.rejected] == [(1, "")]
    assert "malformed JSON" in intake.rejected[0].reason


def test_lines_may_end_with_carriage_return() -> None:
    body = b"\r\n".join([dumps(an_event("a")), dumps(an_event("b"))])
    assert ids(intake_json(body, "ndjson", ACME).admitted["acme"]) == ["a", "b"]


@pytest.mark.parametrize("tenant_id", [None, "", "acme"])
def test_a_key_of_one_tenant_says_which_where_the_event_does_not(tenant_id: str | None) -> None:
    [payload] = intake_json(dumps(an_event(tenant_id=tenant_id)), "json", ACME).admitted["acme"]
    assert usage_pb2.UsageEvent.FromString(payload).tenant_id == "acme"


def test_an_event_of_another_tenant_is_rejected() -> None:
    intake = intake_json(dumps([an_event("a", tenant_id="other"), an_event("b")]), "json", ACME)
    assert intake.rejected == [RejectedEvent(0, "a", "tenant_id is not the tenant of this key")]
    assert list(intake.admitted) == ["acme"]


def test_an_admin_sends_for_any_tenant_but_must_say_which() -> None:
    body = dumps([an_event("a"), an_event("b", tenant_id="other"), an_event("c", tenant_id=None)])
    intake = intake_json(body, "json", ADMIN)
    assert {tenant: ids(events) for tenant, events in intake.admitted.items()} == {"acme": ["a"], "other": ["b"]}
    assert intake.rejected == [RejectedEvent(2, "c", "tenant_id is required")]


@pytest.mark.parametrize("body", [b"[]", b"{nope", b"", b"\xff"])
def test_a_body_without_events_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedBatch):
        intake_json(body, "json", ACME)


def test_lines_without_events_are_malformed() -> None:
    with pytest.raises(MalformedBatch):
        intake_json(b"\n\n", "ndjson", ACME)


def test_a_batch_may_be_full_and_not_fuller() -> None:
    full = [an_event(f"e-{i}") for i in range(BATCH_EVENTS_MAX)]
    assert intake_json(dumps(full), "json", ACME).admitted_count == BATCH_EVENTS_MAX
    with pytest.raises(BatchTooLarge):
        intake_json(dumps([*full, an_event()]), "json", ACME)
    with pytest.raises(BatchTooLarge):
        intake_json(b"{}\n" * (BATCH_EVENTS_MAX + 1), "ndjson", ACME)
    with pytest.raises(BatchTooLarge):
        intake_protobuf(a_request(*[usage_pb2.UsageEvent()] * (BATCH_EVENTS_MAX + 1)), ACME)


def test_protobuf_and_json_give_the_same_bytes() -> None:
    assert intake_protobuf(a_request(a_proto()), ACME).admitted == intake_json(dumps(an_event()), "json", ACME).admitted


def test_a_request_split_in_two_is_one_batch() -> None:
    intake = intake_protobuf(a_request(a_proto("a")) + a_request(a_proto("b")), ACME)
    assert ids(intake.admitted["acme"]) == ["a", "b"]


def test_an_undecodable_event_spoils_only_itself() -> None:
    batch = usage_pb2.UsageBatchEnvelope(
        events=[a_proto("a").SerializeToString(), b"\x0a\x02\xff\xff", b"\xff", a_proto("b").SerializeToString()]
    )
    request = usage_pb2.UsageBatchEnvelope(events=[batch.SerializeToString()]).SerializeToString()
    intake = intake_protobuf(request, ACME)
    assert ids(intake.admitted["acme"]) == ["a", "b"]
    assert [r.index for r in intake.rejected] == [1, 2]


def test_unknown_protobuf_fields_are_ignored_and_not_passed_on() -> None:
    prompt_in_field_99 = b"\x9a\x06\x05hello"
    batch = usage_pb2.UsageBatchEnvelope(events=[a_proto().SerializeToString() + prompt_in_field_99])
    request = usage_pb2.UsageBatchEnvelope(events=[batch.SerializeToString()]).SerializeToString()
    assert intake_protobuf(request, ACME).admitted["acme"] == [a_proto().SerializeToString(deterministic=True)]


@pytest.mark.parametrize("request_bytes", [b"", a_request(), b"\xff\xff", b"garbage"])
def test_a_request_without_events_is_malformed(request_bytes: bytes) -> None:
    with pytest.raises(MalformedBatch):
        intake_protobuf(request_bytes, ACME)


def test_an_id_that_is_no_text_is_not_repeated() -> None:
    [rejected] = intake_json(dumps(an_event(event_id=["x"])), "json", ACME).rejected  # type: ignore[arg-type]
    assert rejected.event_id == ""
    [rejected] = intake_json(dumps(an_event("\ud800" + "x" * 300)), "json", ACME).rejected
    assert rejected.event_id == "?" + "x" * 199


CHAT = '{"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": %d}}'


def vendor_request(cached: int, index: int = 0, shape: str = "", **fields: Any) -> bytes:  # noqa: ANN401
    """One event without usage, and what its vendor says it used."""
    event = a_proto()
    event.ClearField("usage")
    event.MergeFrom(usage_pb2.UsageEvent(**fields))
    given = usage_pb2.VendorUsage(index=index, json=CHAT % cached, shape=shape)
    batch = usage_pb2.UsageBatch(events=[event])
    return usage_pb2.RecordUsageRequest(batch=batch, vendor_usage=[given]).SerializeToString()


def test_a_vendors_usage_is_taken_apart_at_the_protobuf_door_as_at_the_other() -> None:
    kept = ("event_id", "occurred_at", "tenant_id", "provider", "model")
    raw = {name: an_event()[name] for name in kept} | {"vendor_usage": json.loads(CHAT % 40)}
    by_json = intake_json(json.dumps(raw).encode(), "json", ACME)
    assert intake_protobuf(vendor_request(40), ACME).admitted == by_json.admitted


@pytest.mark.parametrize(
    ("request_bytes", "reason"),
    [
        (vendor_request(101), "vendor_usage: prompt_tokens is 100, less than its parts: cached 101"),
        (vendor_request(1, usage=usage_pb2.Usage(output_text=1)), "give vendor_usage or usage, not both"),
        (vendor_request(1, shape="cohere"), "vendor_usage_shape must be one of"),
    ],
)
def test_a_vendors_usage_that_can_not_be_right_is_rejected_at_the_protobuf_door(
    request_bytes: bytes, reason: str
) -> None:
    (rejected,) = intake_protobuf(request_bytes, ACME).rejected
    assert rejected.reason.startswith(reason)


def test_a_vendors_usage_of_no_event_is_refused_with_its_request() -> None:
    with pytest.raises(MalformedBatch, match="of event 1, and the batch has 1 events"):
        intake_protobuf(vendor_request(1, index=1), ACME)
