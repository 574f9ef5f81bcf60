"""The key of an event is the same wherever it is made."""

from __future__ import annotations

import pyarrow as pa
import pytest

from services.contracts.event_key import event_key
from services.processor import identify


@pytest.mark.parametrize("event_id", ["", "evt-1", "é", "x" * 200, "0192f3a4-5b6c-7d8e-8f90-123456789abc", "A" * 36])
def test_the_readers_key_is_the_writers(event_id: str) -> None:
    assert event_key(event_id) == identify.event_keys(pa.array([event_id]))[0].tobytes()
