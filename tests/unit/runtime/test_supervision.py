from __future__ import annotations

from services.runtime.supervision import (
    BACKOFF_FIRST_SECONDS,
    BACKOFF_SECONDS_MAX,
    STABLE_SECONDS,
    CrashRecord,
    Stage,
    stop_order,
)


def _after(*ran_seconds: float) -> CrashRecord:
    record = CrashRecord()
    for seconds in ran_seconds:
        record = record.after_crash(seconds)
    return record


def test_the_first_restart_comes_soon_and_each_later_one_takes_twice_as_long() -> None:
    waits = [_after(*[1.0] * crashes).restart_after_seconds for crashes in (1, 2, 3, 4)]
    assert waits == [BACKOFF_FIRST_SECONDS * factor for factor in (1, 2, 4, 8)]


def test_the_wait_has_a_limit() -> None:
    assert _after(*[0.0] * 5_000).restart_after_seconds == BACKOFF_SECONDS_MAX


def test_a_child_that_ran_for_long_starts_anew_soon() -> None:
    assert _after(1, 1, 1, 1, STABLE_SECONDS).restart_after_seconds == BACKOFF_FIRST_SECONDS


def test_what_sends_stops_first_and_the_database_last() -> None:
    children = [
        ("postgres", Stage.DATABASE),
        ("query", Stage.QUERY),
        ("kafka", Stage.BROKER),
        ("processor", Stage.PROCESSOR),
        ("alerting", Stage.ALERTING),
        ("gateway", Stage.DOORS),
        ("demo", Stage.DEMO),
    ]
    order = stop_order(children)
    assert order == [["demo"], ["gateway"], ["processor"], ["alerting"], ["query"], ["kafka"], ["postgres"]]


def test_children_of_one_stage_stop_together() -> None:
    assert stop_order([("http", Stage.DOORS), ("db", Stage.DATABASE), ("grpc", Stage.DOORS)]) == [
        ["http", "grpc"],
        ["db"],
    ]
