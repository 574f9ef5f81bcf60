"""Rows of the list of runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.query.pages.drill import run_rows
from services.query.read.runs import Run

STARTED = datetime(2026, 11, 27, 8, tzinfo=UTC)


def run(calls: int, seconds: float) -> Run:
    return Run("r", 1, "acme", "writer", STARTED, STARTED + timedelta(seconds=seconds), calls, 5, 0)


def test_a_run_took_from_its_first_to_its_last_call_and_of_one_call_nothing_is_said() -> None:
    assert [row.took for row in run_rows([run(3, 1.5), run(2, 0.0), run(1, 0.0)])] == ["1.5\u202fs", "0\u202fms", "–"]
