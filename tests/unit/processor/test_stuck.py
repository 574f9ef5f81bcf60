"""Standing still is told from having nothing to do, and from not having been able to look."""

from __future__ import annotations

from services.processor.stuck import Position, Watchdog

BEHIND, DONE = Position(5, 9), Position(9, 9)


def test_a_partition_with_messages_waiting_and_none_counted_is_stuck_after_the_limit() -> None:
    watchdog = Watchdog(3.0)
    looks = [watchdog.look(float(second), {0: BEHIND, 1: DONE}) for second in range(6)]
    assert [seconds[0] for seconds in looks] == [0, 1, 2, 3, 4, 5]
    assert all(seconds[1] == 0 for seconds in looks)
    assert watchdog.stuck(looks[3]) == []
    assert watchdog.stuck(looks[4]) == [0]


def test_any_progress_starts_the_clock_again() -> None:
    watchdog = Watchdog(3.0)
    for second in range(100):
        assert watchdog.look(float(second), {0: Position(second, 1_000)})[0] == 0


def test_time_in_which_nobody_could_look_is_not_held_against_it() -> None:
    watchdog = Watchdog(3.0)
    watchdog.look(0.0, {0: BEHIND})
    assert watchdog.look(60.0, {0: BEHIND}) == {0: 0}


def test_a_partition_that_was_handed_on_is_forgotten() -> None:
    watchdog = Watchdog(3.0)
    watchdog.look(0.0, {0: BEHIND})
    watchdog.look(1.0, {})
    assert watchdog.look(5.0, {0: BEHIND}) == {0: 0}
