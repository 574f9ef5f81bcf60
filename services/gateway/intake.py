"""From a request's bytes to events for Kafka and reasons for the rest. Pure."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from google.protobuf.message import DecodeError

from services.contracts.admission import admit
from services.contracts.json_event import EventRefused, add_vendor_usage, decode_event
from services.contracts.json_strict import MalformedJson, parse_json
from services.contracts.keys import Principal
from services.contracts.limits import TEXT_MAX
from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.gateway.settings import BATCH_EVENTS_MAX

JsonForm = Literal["json", "ndjson"]


class MalformedBatch(ValueError):
    """Nothing in the request can be read as events."""


class BatchTooLarge(ValueError):
    """More events than one request may carry."""


@dataclass(frozen=True, slots=True)
class RejectedEvent:
    """`index` is the event's place in the request, from 0; `event_id` is '' where it gave none."""

    index: int
    event_id: str
    reason: str


@dataclass(slots=True)
class Intake:
    """What came of one request: events as bytes per tenant, in their order, and the rejected ones."""

    admitted: dict[str, list[bytes]] = field(default_factory=dict)
    admitted_count: int = 0
    admitted_bytes: int = 0
    rejected: list[RejectedEvent] = field(default_factory=list)

    @property
    def event_count(self) -> int:
        return self.admitted_count + len(self.rejected)

    def reject(self, event_id: object, reason: str) -> None:
        shown = event_id[:TEXT_MAX].encode(errors="replace").decode() if isinstance(event_id, str) else ""
        self.rejected.append(RejectedEvent(self.event_count, shown, reason))

    def take(self, event: usage_pb2.UsageEvent, principal: Principal) -> None:
        """Admits `event` for `principal`'s tenant or rejects it."""
        reason = bind_tenant(event, principal) or admit(event)
        if reason is not None:
            self.reject(event.event_id, reason)
            return
        # Deterministic, so that the same content sent again is the same bytes: otherwise it would be a conflict.
        payload = event.SerializeToString(deterministic=True)
        self.admitted.setdefault(event.tenant_id, []).append(payload)
        self.admitted_count += 1
        self.admitted_bytes += len(payload)


def intake_json(body: bytes, form: JsonForm, principal: Principal) -> Intake:
    """Reads one event, an array of them, or one a line; raises MalformedBatch, BatchTooLarge."""
    intake = Intake()
    for value in _lines(body) if form == "ndjson" else _values(body):
        if intake.event_count == BATCH_EVENTS_MAX:
            raise BatchTooLarge(_too_many())
        if isinstance(value, MalformedJson):
            intake.reject("", f"malformed JSON: {value}")
            continue
        try:
            event = decode_event(value)
        except EventRefused as refused:
            intake.reject(value.get("event_id") if isinstance(value, dict) else "", str(refused))
        else:
            intake.take(event, principal)
    if not intake.event_count:
        raise MalformedBatch("the batch is empty: send at least one event")
    return intake


def intake_protobuf(request: bytes, principal: Principal) -> Intake:
    """Reads a RecordUsageRequest or StreamUsageRequest; raises MalformedBatch, BatchTooLarge."""
    intake = Intake()
    events, vendor_usage = _split_batch(request), _vendor_usage(request)
    if not events:
        raise MalformedBatch("the batch is empty: send at least one event")
    if len(events) > BATCH_EVENTS_MAX:
        raise BatchTooLarge(_too_many())
    strays = sorted(place for place in vendor_usage if not 0 <= place < len(events))
    if strays:
        raise MalformedBatch(f"vendor_usage is of event {strays[0]}, and the batch has {len(events)} events")
    for index, payload in enumerate(events):
        try:
            event = usage_pb2.UsageEvent.FromString(payload)
        except DecodeError:
            intake.reject("", "not a spendstream.v1.UsageEvent")
            continue
        # Fields of other versions are ignored, and not passed on: nobody has checked what is in them.
        event.DiscardUnknownFields()
        try:
            for given in vendor_usage.get(index, ()):
                add_vendor_usage(event, given)
        except EventRefused as refused:
            intake.reject(event.event_id, str(refused))
        else:
            intake.take(event, principal)
    return intake


def _vendor_usage(request: bytes) -> dict[int, list[usage_pb2.VendorUsage]]:
    """By the event's place. One for a place that isn't there is refused with the request: it would be lost unseen."""
    try:
        given = usage_pb2.VendorUsageEnvelope.FromString(request).vendor_usage
    except DecodeError:
        raise MalformedBatch("not a spendstream.v1 usage request") from None
    by_place: dict[int, list[usage_pb2.VendorUsage]] = {}
    for one in given:
        by_place.setdefault(one.index, []).append(one)
    return by_place


def bind_tenant(event: usage_pb2.UsageEvent, principal: Principal) -> str | None:
    """Fills in the tenant of a key that has one; why the key may not send this event, or None."""
    if not event.tenant_id and principal.tenant_id is not None:
        event.tenant_id = principal.tenant_id
    if event.tenant_id and not principal.may_ingest(event.tenant_id):
        return "tenant_id is not the tenant of this key"
    return None


def _values(body: bytes) -> list[object]:
    try:
        value = parse_json(body)
    except MalformedJson as error:
        raise MalformedBatch(f"malformed JSON: {error}") from None
    if isinstance(value, list):
        if len(value) > BATCH_EVENTS_MAX:
            raise BatchTooLarge(_too_many())
        return value
    return [value]


def _lines(body: bytes) -> Iterator[object]:
    """One value a line, blank lines left out; a line that is no JSON comes as its error, its neighbours can be read."""
    for line in io.BytesIO(body):
        if line.isspace():
            continue
        try:
            yield parse_json(line)
        except MalformedJson as error:
            yield error


def _split_batch(request: bytes) -> list[bytes]:
    """The events of a request as bytes, so that one that can't be decoded does not spoil its neighbours.

    UsageBatchEnvelope reads field 1 as bytes: of a request that is its batch (split over several it is their
    concatenation, as protobuf merges messages), of the batch its events.
    """
    try:
        batch = b"".join(usage_pb2.UsageBatchEnvelope.FromString(request).events)
        return list(usage_pb2.UsageBatchEnvelope.FromString(batch).events)
    except DecodeError:
        raise MalformedBatch("not a spendstream.v1 usage request") from None


def _too_many() -> str:
    return f"more than {BATCH_EVENTS_MAX} events in one batch: send several"
