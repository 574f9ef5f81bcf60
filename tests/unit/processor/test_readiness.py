"""When a worker says that it is ready."""

from __future__ import annotations

from services.processor.main import why_not_ready


def test_a_worker_is_ready_with_partitions_a_ledger_it_can_read_and_little_to_catch_up() -> None:
    assert why_not_ready(True, 0.5, 10_000) == ""
    assert why_not_ready(False, 0.5, 0) == "no partition assigned yet"
    assert why_not_ready(True, 0.5, 10_001) == "10001 messages behind"
    assert why_not_ready(True, 10.5, 0).startswith("broker or database away")
    assert why_not_ready(True, float("inf"), 0).startswith("broker or database away")
