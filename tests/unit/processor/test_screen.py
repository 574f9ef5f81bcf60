"""What is counted already is left out before anything is made of it."""

from __future__ import annotations

from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.processor.batch import Decoded, Message, Place
from services.processor.decode import decode
from services.processor.identify import identify
from services.processor.screen import Screen, leave_out, under_way
from tests.ledger import books


def identified(*events: usage_pb2.UsageEvent, offset: int = 1) -> Decoded:
    batch = usage_pb2.UsageBatch(events=events).SerializeToString(deterministic=True)
    decoded = decode([Message(0, offset, 0, batch)])
    identify(decoded)
    return decoded


def changed(event: usage_pb2.UsageEvent, tenant: str = "", more_output: int = 0) -> usage_pb2.UsageEvent:
    other = usage_pb2.UsageEvent()
    other.CopyFrom(event)
    other.tenant_id = tenant or event.tenant_id
    other.usage.output_text += more_output
    return other


def test_events_of_the_flush_under_way_are_found_with_whether_their_content_is_the_same() -> None:
    producer = books()
    first, second, third, fresh = (producer.event("acme") for _ in range(4))
    before = identified(first, second, third)
    now = identified(fresh, second, changed(third, more_output=1), changed(first, tenant="bigco"), offset=2)
    assert under_way(now, before) == [(1, True), (2, False)]
    assert under_way(identified(fresh), before) == []


def test_equal_content_is_a_repeat_and_other_content_is_dead() -> None:
    producer = books()
    events = [producer.event("acme") for _ in range(4)]
    decoded = identified(*events)
    leave_out(decoded, [(1, True), (3, False)])
    assert decoded.repeats == [Place(0, 1, 1)]
    assert [(dead.reason, dead.place) for dead in decoded.dead] == [("conflict", Place(0, 1, 3))]
    assert decoded.payloads == [events[row].SerializeToString(deterministic=True) for row in (0, 2)]
    assert decoded.table.column("event_id").to_pylist() == [events[row].event_id for row in (0, 2)]


def test_no_flush_is_looked_at_where_no_duplicate_is_expected() -> None:
    event = books().event("acme")
    before, decoded = identified(event), identified(event, offset=2)
    assert not Screen("host=nowhere.invalid", needed=lambda: False).leave_out(decoded, lambda _: {}, [before])
    assert len(decoded.table) == 1
