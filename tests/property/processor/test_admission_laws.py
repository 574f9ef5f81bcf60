"""Admission in columns finds exactly what the doors' rules find event by event."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from services.contracts.admission import admit as admit_event
from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.processor.admit import admit
from services.processor.batch import Message
from services.processor.decode import decode

RECEIVED_US = 1_795_000_000_000_000
TEXT = st.one_of(
    st.just(""), st.just("gpt-4o"), st.just("a\x00b"), st.text(max_size=12), st.just("é" * 150), st.just("x" * 201)
)
COUNT = st.one_of(st.none(), st.integers(-2, 3), st.sampled_from([10**9, 10**9 + 1, 2**63 - 1, -(2**63)]))


@st.composite
def events(draw: st.DrawFn) -> usage_pb2.UsageEvent:
    event = usage_pb2.UsageEvent(
        event_id=draw(TEXT),
        tenant_id=draw(TEXT),
        provider=draw(TEXT),
        model=draw(TEXT),
        feature=draw(TEXT),
        section_path=draw(TEXT),
        attempt=draw(st.integers(-1, 10_001)),
        retry_count=draw(st.sampled_from([-1, 0, 10_000, 10_001])),
        status=draw(st.integers(0, 6)),  # type: ignore[arg-type]
        service_tier=draw(st.integers(0, 6)),  # type: ignore[arg-type]
        reported_cost_usd=draw(st.sampled_from(["", "0.1", "x"])),
        metadata=draw(st.dictionaries(TEXT, TEXT, max_size=2)),
    )
    if draw(st.booleans()):
        event.occurred_at.seconds = draw(st.sampled_from([0, 1_795_000_000, 2**62, -(2**40)]))
        event.occurred_at.nanos = draw(st.sampled_from([0, 5, -1, 10**9]))
    for name in ("input_uncached", "output_text", "input_image"):
        count = draw(COUNT)
        if count is not None:
            setattr(event.usage, name, count)
    latency = draw(st.one_of(st.none(), st.sampled_from([-1, 0, 86_400_000, 86_400_001])))
    if latency is not None:
        event.latency_ms = latency
    for unit, count in draw(st.dictionaries(TEXT, st.integers(-1, 3), max_size=1)).items():
        event.usage.units[unit] = count
    return event


@settings(max_examples=400, deadline=None)
@given(st.lists(events(), min_size=1, max_size=4))
def test_columns_and_doors_refuse_the_same_events(batch: list[usage_pb2.UsageEvent]) -> None:
    payloads = [event.SerializeToString(deterministic=True) for event in batch]
    value = usage_pb2.UsageBatchEnvelope(events=payloads).SerializeToString()
    decoded = decode([Message(0, 1, RECEIVED_US, value)])
    assert not decoded.dead
    admit(decoded)
    refused = {dead.place.index for dead in decoded.dead}
    assert refused == {index for index, event in enumerate(batch) if admit_event(event) is not None}
    assert len(decoded.table) + len(decoded.dead) + len(decoded.quarantined) == len(batch)
