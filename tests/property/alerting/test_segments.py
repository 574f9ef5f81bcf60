"""Laws of reading a window from several levels: nothing twice, nothing left out, nothing stale."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.alerting.spend_store import segments

EPOCH = datetime(2026, 10, 1, tzinfo=UTC)
WIDTH = {"day": timedelta(days=1), "hour": timedelta(hours=1), "minute": timedelta(minutes=1)}
MINUTES = st.integers(0, 40 * 24 * 60).map(lambda minutes: EPOCH + timedelta(minutes=minutes))
QUARTERS = st.lists(st.integers(0, 40 * 96).map(lambda number: EPOCH + number * timedelta(minutes=15)), max_size=8)


@given(MINUTES, MINUTES, QUARTERS)
def test_the_pieces_cover_the_window_once_and_in_whole_buckets(
    one: datetime, other: datetime, stale: list[datetime]
) -> None:
    start, end = min(one, other), max(one, other)
    at = start
    for piece in segments(start, end, stale):
        assert piece.start == at < piece.end
        width = WIDTH[piece.level]
        assert (piece.start - EPOCH) % width == (piece.end - EPOCH) % width == timedelta()
        at = piece.end
    assert at == end


@given(MINUTES, MINUTES, QUARTERS)
def test_a_stale_bucket_is_read_from_minutes(one: datetime, other: datetime, stale: list[datetime]) -> None:
    for piece in segments(min(one, other), max(one, other), stale):
        if piece.level != "minute":
            assert not any(piece.start <= bucket < piece.end for bucket in stale)
