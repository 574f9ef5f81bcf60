"""Laws of a replay: moving keeps every gap, ids depend on nothing but tenant and line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from services.cli.events_file import Source, event_id, events, survey
from services.cli.times import format_instant, parse_instant

INSTANTS = st.datetimes(datetime(2001, 1, 1), datetime(2098, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001
CONSTANTS = {"tenant_id": "t", "provider": "p", "model": "m"}


@given(INSTANTS)
def test_an_instant_survives_being_written_and_read(instant: datetime) -> None:
    assert parse_instant(format_instant(instant)) == instant


@given(st.lists(INSTANTS, min_size=1, max_size=20), INSTANTS)
def test_a_moved_trace_ends_on_the_given_instant_and_keeps_every_gap(times: list[datetime], end: datetime) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "trace.csv"
        path.write_text("occurred_at,prompt_tokens\n" + "".join(f"{format_instant(at)},1\n" for at in times))
        source = Source(path, {}, CONSTANTS)
        shift = survey(source).shift_to(end)
        if not datetime(2000, 1, 1, tzinfo=UTC) <= min(times) + shift:
            return
        moved = [parse_instant(event["occurred_at"]) for event in events(source, shift)]
    assert max(moved) == end
    assert [at - moved[0] for at in moved] == [at - times[0] for at in times]


@given(st.text(max_size=20), st.integers(1, 10**9), st.text(max_size=40), st.integers(1, 10**9))
def test_an_id_is_the_lines_own(tenant: str, line: int, text: str, other: int) -> None:
    assert event_id(tenant, line, text) == event_id(tenant, line, text)
    assert (event_id(tenant, line, text) == event_id(tenant, other, text)) == (line == other)


def test_a_shift_is_nothing_when_no_end_is_given() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "trace.csv"
        path.write_text(f"occurred_at,prompt_tokens\n{format_instant(now)},1\n")
        assert survey(Source(path, {}, CONSTANTS)).shift_to(None) == timedelta(0)
