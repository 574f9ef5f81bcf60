from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.cli.events_csv import BadFile
from services.cli.events_file import Source, events, survey

CONSTANTS = {"tenant_id": "azure", "provider": "openai", "model": "gpt-4o"}
TRACE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 19:14:08.4025270,197,183"""
GOOD = '{"occurred_at": "2026-10-01T00:00:00Z", "tenant_id": "t", "provider": "p", "model": "m", "prompt_tokens": 5}'


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_trace_is_moved_so_that_its_last_row_falls_exactly_on_the_given_end(tmp_path: Path) -> None:
    source = Source(written(tmp_path, "trace.csv", TRACE), {}, CONSTANTS)
    found = survey(source)
    moved = list(events(source, found.shift_to(datetime(2026, 11, 21, 12, tzinfo=UTC))))
    # 19:14:08.402527 - 18:15:46.680590 = 58:21.721937 before noon
    assert [event["occurred_at"] for event in moved] == ["2026-11-21T11:01:38.278063Z", "2026-11-21T12:00:00.000000Z"]
    assert found.events == 2


def test_an_id_comes_from_tenant_line_number_and_line_and_not_from_file_name_or_shift(tmp_path: Path) -> None:
    first = Source(written(tmp_path, "a.csv", TRACE), {}, CONSTANTS)
    renamed = Source(written(tmp_path, "b.csv", TRACE), {}, CONSTANTS)
    other_tenant = Source(first.path, {}, {**CONSTANTS, "tenant_id": "other"})
    ids = [event["event_id"] for event in events(first)]
    assert len(set(ids)) == 2
    assert ids == [event["event_id"] for event in events(renamed, timedelta(days=3))]
    assert not set(ids) & {event["event_id"] for event in events(other_tenant)}


def test_equal_lines_are_different_events(tmp_path: Path) -> None:
    source = Source(written(tmp_path, "twice.jsonl", f"{GOOD}\n{GOOD}\n"))
    assert len({event["event_id"] for event in events(source)}) == 2


def test_an_id_the_file_gives_is_kept(tmp_path: Path) -> None:
    source = Source(written(tmp_path, "e.jsonl", GOOD.replace("{", '{"event_id": "mine", ', 1)))
    assert [event["event_id"] for event in events(source)] == ["mine"]


def test_a_constant_holds_for_every_json_line(tmp_path: Path) -> None:
    source = Source(written(tmp_path, "e.jsonl", GOOD), {}, {"tenant_id": "elsewhere", "feature": "chat"})
    (event,) = events(source)
    assert (event["tenant_id"], event["feature"]) == ("elsewhere", "chat")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 2: .*at column"),
        ("[]", "line 2: an event must be an object"),
        (GOOD.replace("prompt_tokens", "promt_tokens"), "line 2: promt_tokens is not a field .* prompt_tokens"),
        (GOOD.replace("5", "-5"), "line 2: prompt_tokens must not be negative"),
        (GOOD.replace("5", "5000000000"), "line 2: .*must be 0..1000000000"),
        (GOOD.replace('"tenant_id": "t", ', ""), "line 2: tenant_id is required"),
        (GOOD.replace("2026-10-01T00:00:00Z", "soon"), "line 2: occurred_at must look like"),
    ],
)
def test_a_bad_json_line_is_refused_as_at_the_door_with_its_number(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(BadFile, match=words):
        survey(Source(written(tmp_path, "e.jsonl", f"{GOOD}\n{line}\n")))


def test_a_file_that_is_not_there_is_not_text_or_has_no_event_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="No such file"):
        survey(Source(tmp_path / "nowhere.jsonl"))
    with pytest.raises(BadFile, match="Is a directory"):
        survey(Source(tmp_path))
    with pytest.raises(BadFile, match="no UTF-8 text"):
        survey(Source(written(tmp_path, "b.jsonl", b"\xff\xfe\x00")))
    with pytest.raises(BadFile, match="no event"):
        survey(Source(written(tmp_path, "c.jsonl", "\n")))
