"""A worker buries bad events, but not everything."""

from __future__ import annotations

from services.processor.dead_limit import DeadLimit


def test_bad_events_among_good_ones_never_stop_it() -> None:
    limit = DeadLimit()
    assert not any(limit.note(1_000, 900) for _ in range(100))


def test_few_events_are_no_evidence() -> None:
    limit = DeadLimit()
    assert not any(limit.note(499, 499) for _ in range(10))


def test_five_thousand_in_a_row_stop_it_and_it_says_so() -> None:
    limit = DeadLimit()
    noted = [limit.note(1_000, 1_000) for _ in range(5)]
    assert noted[:4] == [""] * 4
    assert noted[4].startswith("5000 of the last 5000 events can't be counted")


def test_one_huge_flush_is_enough() -> None:
    assert DeadLimit().note(30_000, 29_000)


def test_good_events_long_ago_do_not_excuse_what_comes_now() -> None:
    limit = DeadLimit()
    assert not limit.note(1_000_000, 0)
    noted = [limit.note(500, 500) for _ in range(10)]
    assert noted[-1], "the last 5,000 are all bad"


def test_what_an_operator_said_to_bury_is_not_held_against_the_stream() -> None:
    limit = DeadLimit()
    limit.allowance_events = 7_000
    assert not limit.note(7_000, 7_000)
    assert limit.allowance_events == 0
    assert not limit.note(4_999, 4_999)
    assert limit.note(1, 1)
