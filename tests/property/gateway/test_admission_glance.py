"""The quick look at an event lets nothing pass that a rule refuses."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pricing.usage import USAGE_CLASSES
from services.contracts import admission
from services.contracts.limits import COUNT_MAX, SECTION_PATH_MAX, TEXT_MAX
from services.contracts.stubs.spendstream.v1 import usage_pb2

TEXTS = st.one_of(
    st.just(""), st.just("x"), st.just("a\0b"), st.integers(TEXT_MAX - 1, SECTION_PATH_MAX + 1).map(lambda n: "é" * n)
)
COUNTS = st.sampled_from([-1, 0, 1, COUNT_MAX, COUNT_MAX + 1])
NUMBERS = st.sampled_from([-1, 0, 1, 10_000, 10_001, 86_400_001])


@st.composite
def events(draw: st.DrawFn) -> usage_pb2.UsageEvent:
    """A good event with up to three things changed, each to something at a limit or beyond it."""
    event = usage_pb2.UsageEvent(event_id="e", tenant_id="t", provider="p", model="m")
    event.occurred_at.seconds = 1_790_000_000
    event.usage.input_uncached = 1
    for name in draw(st.lists(st.sampled_from([*admission.TEXT_LIMITS, "reported_cost_usd"]), max_size=2)):
        setattr(event, name, draw(TEXTS))
    for name in draw(st.lists(st.sampled_from(USAGE_CLASSES), max_size=2)):
        setattr(event.usage, name, draw(COUNTS))
    for name in draw(st.lists(st.sampled_from(["attempt", "retry_count", "latency_ms"]), max_size=1)):
        setattr(event, name, draw(NUMBERS))
    event.occurred_at.seconds += draw(st.sampled_from([0, 0, 0, 10**10]))
    event.occurred_at.nanos = draw(st.sampled_from([0, 0, 999_999_999, 10**9, -1]))
    event.metadata.update(draw(st.dictionaries(TEXTS, TEXTS, max_size=1)))
    if draw(st.booleans()):
        event.usage.units[draw(TEXTS)] = draw(COUNTS)
    return event


@given(events())
def test_what_passes_at_a_glance_breaks_no_rule(event: usage_pb2.UsageEvent) -> None:
    rules = (admission._texts, admission._time, admission._usage, admission._numbers, admission._metadata)
    if admission.admit(event) is None:
        assert [reason for rule in rules for reason in rule(event)] == []
