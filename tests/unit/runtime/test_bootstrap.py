"""Which steps of the set-up are still to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy import bootstrap


@pytest.fixture(autouse=True)
def project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A project folder of its own, with lock files, an environment and nothing done yet."""
    root = bootstrap.ROOT
    for name in ("ROOT", "VENV", "WEB", "SDK"):
        monkeypatch.setattr(bootstrap, name, tmp_path / getattr(bootstrap, name).relative_to(root))
    monkeypatch.setattr(bootstrap, "STAMPS", tmp_path / ".venv/stamps.json")
    monkeypatch.setattr(bootstrap, "REQUIREMENTS", {"run": tmp_path / "run.txt", "dev": tmp_path / "dev.txt"})
    monkeypatch.setattr(bootstrap, "jars_present", lambda: True)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").touch()
    (tmp_path / "run.txt").write_text("a==1")
    (tmp_path / "dev.txt").write_text("a==1 b==2")
    return tmp_path


def _finish(kind: str) -> None:
    for step, stamp in bootstrap.wanted_stamps(kind).items():
        bootstrap.remember(step, stamp)


def test_at_first_everything_is_to_do_in_order() -> None:
    assert bootstrap.steps_to_do("run") == ["environment", "packages", "project", "web", "jars", "warm-up"]


def test_a_finished_set_up_has_nothing_to_do() -> None:
    _finish("run")
    assert bootstrap.steps_to_do("run") == []


def test_an_interrupted_set_up_goes_on_where_it_was() -> None:
    for step in ("environment", "packages"):
        bootstrap.remember(step, bootstrap.wanted_stamps("run")[step])
    assert bootstrap.steps_to_do("run") == ["project", "web", "jars", "warm-up"]


def test_a_changed_lock_file_repeats_only_what_depends_on_it(project: Path) -> None:
    _finish("run")
    (project / "run.txt").write_text("a==2")
    assert bootstrap.steps_to_do("run") == ["packages", "warm-up"]


def test_an_environment_for_development_is_good_for_running_but_not_the_other_way_round() -> None:
    _finish("dev")
    assert bootstrap.steps_to_do("run") == []
    _finish("run")
    assert bootstrap.steps_to_do("dev") == ["packages", "warm-up"]


def test_without_the_environment_everything_is_to_do(project: Path) -> None:
    _finish("run")
    (project / ".venv/bin/python").unlink()
    assert len(bootstrap.steps_to_do("run")) == 6


def test_jars_that_were_removed_from_the_cache_are_fetched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    _finish("run")
    monkeypatch.setattr(bootstrap, "jars_present", lambda: False)
    assert bootstrap.steps_to_do("run") == ["jars", "warm-up"]


def test_libraries_of_the_page_that_were_removed_are_fetched_again(project: Path) -> None:
    web = project / "services/query/web"
    web.mkdir(parents=True)
    (web / "package.json").write_text("{}")
    _finish("run")
    assert bootstrap.steps_to_do("run") == ["web"]
    (web / "node_modules").mkdir()
    assert bootstrap.steps_to_do("run") == []


def test_spoilt_stamps_count_as_none(project: Path) -> None:
    (project / ".venv/stamps.json").write_text("{half")
    assert len(bootstrap.steps_to_do("run")) == 6


@pytest.mark.parametrize("arguments", [[], ["help"], ["--help"]])
def test_help_is_said_when_nothing_is_asked_for(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert bootstrap.main(arguments) == 0
    assert "bootstrap.py run" in capsys.readouterr().out


def test_an_unknown_command_is_an_error() -> None:
    assert bootstrap.main(["fly"]) == 2
