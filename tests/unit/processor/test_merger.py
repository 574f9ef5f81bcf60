"""When rows of the rollups are put together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.processor.merger import Waiting, due

LONG, SHORT = timedelta(seconds=10), timedelta(seconds=9)


def waiting(rows: int, marks: int = 5) -> Waiting:
    return Waiting("usage_minute_base", datetime(2026, 1, 1, tzinfo=UTC), rows, tuple(range(marks)))


def test_a_bucket_that_grows_is_merged_when_it_is_several_times_its_size() -> None:
    assert not due(waiting(1_999), 0, LONG, quiet=False)
    assert due(waiting(2_000), 0, LONG, quiet=False)
    assert not due(waiting(39_999), 10_000, LONG, quiet=False)
    assert due(waiting(40_000), 10_000, LONG, quiet=False)
    assert not due(waiting(40_000), 10_000, SHORT, quiet=False)


def test_a_bucket_at_rest_is_merged_when_it_gets_smaller_by_it() -> None:
    assert due(waiting(1_001), 10_000, LONG, quiet=True)
    assert not due(waiting(1_000), 10_000, LONG, quiet=True)
    assert not due(waiting(1_001), 10_000, LONG, quiet=False)


def test_the_rows_of_one_flush_have_nothing_to_be_merged_with() -> None:
    assert not due(waiting(1_500, marks=1), 0, LONG, quiet=True)
