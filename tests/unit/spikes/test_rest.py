"""Watching takes little of a worker's time, however many series there are."""

from __future__ import annotations

import pytest

from services.processor.watch import EVERY_SECONDS, REST_SECONDS_MAX, rest_after


@pytest.mark.parametrize("cpu_seconds", [0.0, 0.01, 0.05])
def test_short_rounds_follow_each_other_each_second(cpu_seconds: float) -> None:
    assert rest_after(cpu_seconds) == 0.0


@pytest.mark.parametrize("cpu_seconds", [0.1, 0.2, 0.5, 1.0])
def test_a_long_round_is_a_twentieth_of_the_time_until_the_next_has_begun(cpu_seconds: float) -> None:
    assert cpu_seconds / (cpu_seconds + EVERY_SECONDS + rest_after(cpu_seconds)) == pytest.approx(0.05)


def test_no_rest_is_so_long_that_a_jump_is_seen_late() -> None:
    assert rest_after(60.0) == REST_SECONDS_MAX <= 20
