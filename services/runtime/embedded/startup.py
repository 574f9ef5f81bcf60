"""What went wrong when a backend started."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class StartError(Exception):
    """The broker or the database didn't start; the message ends with what it said itself."""


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log, or nothing when there is none."""
    if not path.exists():
        return ""
    return "".join(line + "\n" for line in path.read_text(errors="replace").splitlines()[-lines:])
