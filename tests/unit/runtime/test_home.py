from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from services.runtime.embedded.home import Home, HomeError, default_home
from services.runtime.embedded.integrity import Part


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def _home_with_parts(path: Path) -> Home:
    home = Home(path).open()
    for part in Part:
        home.begin_part(part).mkdir()
        home.finish_part(part)
    return home


def test_a_folder_in_use_is_refused_with_the_process_that_uses_it(tmp_path: Path) -> None:
    with Home(tmp_path / "home"), pytest.raises(HomeError, match=rf"in use .*process {os.getpid()}"):
        Home(tmp_path / "home").open()


def test_a_folder_can_be_opened_again_after_it_was_closed(tmp_path: Path) -> None:
    with Home(tmp_path) as first:
        home_id = first.manifest.home_id
    with Home(tmp_path) as second:
        assert second.manifest.home_id == home_id


def test_what_it_remembers_survives(tmp_path: Path) -> None:
    home = _home_with_parts(tmp_path)
    home.remember_port("kafka", 12_345)
    secret = home.secret("admin_key")
    home.close()
    with Home(tmp_path) as again:
        assert again.manifest.ports == {"kafka": 12_345}
        assert again.secret("admin_key") == secret
        assert all(again.is_ready(part) for part in Part)


def test_secrets_differ_and_only_the_owner_can_read_them(tmp_path: Path) -> None:
    with Home(tmp_path) as home:
        assert home.secret("one") != home.secret("two")
        assert _mode(tmp_path / "secrets.json") == 0o600
        assert _mode(tmp_path / "manifest.json") == 0o600


@pytest.mark.parametrize("gone", list(Part))
def test_a_folder_of_which_a_part_was_wiped_is_refused(tmp_path: Path, gone: Part) -> None:
    _home_with_parts(tmp_path).close()
    shutil.rmtree(tmp_path / gone)
    with pytest.raises(HomeError, match=str(tmp_path / gone)):
        Home(tmp_path).open()


def test_a_refused_folder_is_not_left_locked(tmp_path: Path) -> None:
    _home_with_parts(tmp_path).close()
    shutil.move(tmp_path / Part.KAFKA, tmp_path / "away")
    with pytest.raises(HomeError):
        Home(tmp_path).open()
    shutil.move(tmp_path / "away", tmp_path / Part.KAFKA)
    Home(tmp_path).open().close()


def test_what_an_interrupted_creation_left_is_removed(tmp_path: Path) -> None:
    with Home(tmp_path) as home:
        left = home.begin_part(Part.POSTGRES)
        left.mkdir()
        (left / "half").touch()
    with Home(tmp_path) as home:
        assert not home.is_ready(Part.POSTGRES)
        assert not home.begin_part(Part.POSTGRES).exists()


@pytest.mark.parametrize("text", ["", "{", '{"surprise": 1}', "[]"])
def test_a_damaged_manifest_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(HomeError, match=r"manifest\.json"):
        Home(tmp_path).open()


def test_a_manifest_of_a_later_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"home_id": "x", "format": 99}))
    with pytest.raises(HomeError, match="99"):
        Home(tmp_path).open()


def test_a_file_in_place_of_the_folder_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HomeError, match="Can't use"):
        Home(tmp_path / "file").open()


def test_the_folder_is_the_one_of_the_environment_else_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPENDSTREAM_HOME", "~/elsewhere")
    assert default_home() == Path.home() / "elsewhere"
    monkeypatch.delenv("SPENDSTREAM_HOME")
    assert default_home() == Path.home() / ".local/share/spendstream"
