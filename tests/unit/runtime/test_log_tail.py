from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.runtime.log_tail import LogTail, format_line


def _line(level: str, event: str, **fields: object) -> bytes:
    return json.dumps({"level": level, "event": event, "timestamp": "2026-01-01T00:00:00Z", **fields}).encode()


@pytest.mark.parametrize("level", ["warning", "error", "critical"])
def test_warnings_and_worse_are_shown_in_one_line_with_their_fields(level: str) -> None:
    shown = format_line("gateway", _line(level, "kafka is away", attempt=3))
    assert shown == f"gateway: {level}: kafka is away attempt=3"


@pytest.mark.parametrize("line", [_line("info", "started"), b"Traceback (most recent call last):", b"", b"[1]", b'"x"'])
def test_everything_else_stays_in_the_file(line: bytes) -> None:
    assert format_line("gateway", line) is None


def test_long_lines_are_cut() -> None:
    assert len(format_line("gateway", _line("error", "x" * 10_000)) or "") < 400


def test_only_what_was_added_since_the_last_look_is_shown(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(_line("error", "of an earlier run") + b"\n")
    tail = LogTail("a", log)
    assert tail.poll() == []
    with log.open("ab") as file:
        file.write(_line("error", "new") + b"\n" + _line("error", "half")[:10])
    assert tail.poll() == ["a: error: new"]
    with log.open("ab") as file:
        file.write(_line("error", "half")[10:] + b"\n")
    assert tail.poll() == ["a: error: half"]


def test_a_flood_is_summed_up(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    tail = LogTail("a", log)
    log.write_bytes(b"".join(_line("warning", str(number)) + b"\n" for number in range(100)))
    *shown, last = tail.poll()
    assert len(shown) == 5
    assert "95 more" in last


def test_a_file_that_was_emptied_is_followed_from_its_start(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(_line("error", "a rather long first message") + b"\n")
    tail = LogTail("a", log)
    log.write_bytes(_line("error", "b") + b"\n")
    assert tail.poll() == ["a: error: b"]
