"""`python -m pricing.check`."""

from pathlib import Path

import pytest

from pricing.check import main
from tests.unit.pricing.book_texts import RIGHT


def test_the_committed_book_is_right(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "providers" in capsys.readouterr().out


def test_each_error_is_one_line_and_the_exit_code_is_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "book.yaml"
    path.write_text(RIGHT.replace('"0.15"', "0.15").replace("tier: cheap", "tier: free"), encoding="utf-8")
    assert main([str(path)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"{path}:47", f"{path}:50"]
