"""In which order days are audited where there is not the time for all of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.audit.spans import Round, Span

DAY = timedelta(days=1)
BEGINNING, END = datetime(1, 1, 2, tzinfo=UTC), datetime(9998, 1, 1, tzinfo=UTC)
WHOLE = Span(BEGINNING, END)
FIRST = datetime(2026, 8, 1, tzinfo=UTC)
NEWEST = FIRST + 100 * DAY


def days(span: Span | None) -> tuple[int | None, int | None] | None:
    """Days since the first one; None for the ends of time."""
    if span is None:
        return None
    return (
        None if span.start == BEGINNING else (span.start - FIRST).days,
        None if span.end == END else (span.end - FIRST).days,
    )


def walk(round_: Round, seconds: float, most: int = 1_000) -> list[tuple[int | None, int | None] | None]:
    found: list[tuple[int | None, int | None] | None] = []
    while (span := round_.next_span()) is not None and len(found) < most:
        found.append(days(span))
        round_.done(seconds)
    return found


def left(round_: Round) -> list[tuple[int | None, int | None] | None]:
    return [days(span) for span in round_.left()]


def test_with_time_for_all_everything_is_one_span() -> None:
    round_ = Round(WHOLE)
    assert walk(round_, 1_000.0) == [(None, None)]
    assert (left(round_), round_.left_off()) == ([], None)


def test_the_newest_days_come_first_and_older_ones_backwards_in_wider_and_wider_spans_while_it_is_quick() -> None:
    assert walk(Round(WHOLE, FIRST, NEWEST), 0.1) == [
        (100, None), (99, 100), (97, 99), (93, 97), (85, 93), (69, 85), (37, 69), (5, 37), (None, 5)
    ]  # fmt: skip


def test_a_span_that_was_slow_makes_the_next_half_as_wide_and_none_is_shorter_than_a_day() -> None:
    round_ = Round(WHOLE, FIRST, NEWEST)
    walk(round_, 0.1, most=4)
    assert walk(round_, 10.0, most=5) == [(85, 93), (81, 85), (79, 81), (78, 79), (77, 78)]


def test_the_next_round_goes_on_where_the_last_left_off_and_has_what_lies_above_at_last() -> None:
    first = Round(WHOLE, FIRST, NEWEST)
    assert walk(first, 3.0, most=41) == [(100, None), *((day, day + 1) for day in range(99, 59, -1))]
    assert left(first) == [(0, 60)]
    second = Round(WHOLE, FIRST, NEWEST + 5 * DAY, first.left_off())
    spans = walk(second, 3.0)
    assert spans[:2] == [(105, None), (59, 60)]
    assert spans[60:62] == [(None, 1), (104, 105)]
    assert spans[-1] == (60, 61)
    assert (left(second), second.left_off()) == ([], None)


def test_what_is_left_is_named_in_both_parts() -> None:
    round_ = Round(WHOLE, FIRST, NEWEST, FIRST + 60 * DAY)
    walk(round_, 3.0, most=2)
    assert left(round_) == [(0, 59), (60, 100)]
    assert round_.left_off() == FIRST + 59 * DAY


def test_a_round_that_did_not_get_beyond_the_newest_days_leaves_off_where_the_last_did() -> None:
    round_ = Round(WHOLE, FIRST, NEWEST, FIRST + 60 * DAY)
    assert round_.left_off() == FIRST + 60 * DAY
    assert left(round_) == [(100, None), (0, 60), (60, 100)]


def test_where_nothing_is_older_all_is_newest() -> None:
    assert walk(Round(WHOLE, NEWEST + DAY, NEWEST), 1.0) == [(None, None)]


def test_a_range_that_is_asked_for_bounds_the_round() -> None:
    asked = Span(NEWEST - 5 * DAY, NEWEST + 3 * DAY)
    assert walk(Round(asked, FIRST, NEWEST), 3.0) == [(100, 103), *((day, day + 1) for day in range(99, 94, -1))]
    assert walk(Round(Span(NEWEST, NEWEST + 2 * DAY), FIRST, NEWEST), 3.0) == [(100, 102)]
