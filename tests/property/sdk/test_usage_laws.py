"""Laws of what the SDK records: no token is lost or counted twice, and what it sends the door accepts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from spendstream_sdk.ids import uuid7_int
from spendstream_sdk.records import Record, to_event
from spendstream_sdk.scopes import OUTSIDE

from services.contracts.admission import admit
from services.contracts.json_event import decode_event

COUNTS = st.integers(0, 10**9)
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=200)


@given(COUNTS, COUNTS, st.data())
def test_classes_add_up_to_what_was_recorded(prompt: int, completion: int, data: st.DataObject) -> None:
    cached = data.draw(st.integers(0, prompt))
    reasoning = data.draw(st.integers(0, completion))
    fields = {
        "provider": "p", "model": "m", "prompt_tokens": prompt, "completion_tokens": completion,
        "cached_tokens": cached, "reasoning_tokens": reasoning,
    }  # fmt: skip
    usage = to_event(Record(1, 0, OUTSIDE, fields), {"tenant_id": "t"})["usage"]
    assert usage["input_uncached"] + usage.get("cache_read", 0) == prompt
    assert usage["output_text"] + usage.get("output_reasoning", 0) == completion
    assert usage.get("cache_read", 0) == cached


@given(NAMES, NAMES, NAMES, COUNTS, st.integers(946_684_800 * 10**9, 4_102_444_799 * 10**9))
def test_whatever_the_names_what_becomes_an_event_is_accepted(
    tenant: str, model: str, feature: str, count: int, time_ns: int
) -> None:
    fields = {"provider": "p", "model": model, "feature": feature, "prompt_tokens": count}
    event = to_event(Record(uuid7_int(time_ns), time_ns, OUTSIDE, fields), {"tenant_id": tenant})
    assert admit(decode_event(event)) is None
