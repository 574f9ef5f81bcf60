from __future__ import annotations

import os
from pathlib import Path

from services.runtime.children import User
from services.runtime.embedded.reach import can_reach

STRANGER = User(54_321, 54_321)


def test_a_stranger_reaches_what_everyone_may_pass_through() -> None:
    assert can_reach(Path("/"), STRANGER)


def test_a_stranger_is_held_up_by_one_private_folder_on_the_way(tmp_path: Path) -> None:
    inner = tmp_path / "private" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "private").chmod(0o700)
    assert not can_reach(inner, STRANGER)


def test_the_owner_of_a_private_folder_passes(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    owner = User(os.getuid(), os.getgid())
    assert can_reach(tmp_path, owner)
