"""Follows a child's log file and picks the lines a person at the console should see."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_FILE_BYTES_MAX = 20 * 1024**2
_READ_BYTES_MAX = 1024**2
_LINES_MAX = 5
_LINE_CHARACTERS_MAX = 300
_SHOWN_LEVELS = frozenset({"warning", "error", "critical"})
_FIELDS_HIDDEN = frozenset({"event", "level", "logger", "service", "timestamp", "exception", "stack"})


class LogTail:
    """Reads what was added to one file since the last look; rolls the file over when it has grown large."""

    def __init__(self, name: str, path: Path) -> None:
        self._name = name
        self._path = path
        self._position = path.stat().st_size if path.exists() else 0
        self._rest = b""

    def poll(self) -> list[str]:
        """Warnings and worse since the last call, as lines for people; at most a few, and how many more there were."""
        try:
            size = self._path.stat().st_size
        except FileNotFoundError:
            return []
        if size < self._position:  # rolled over, by us or by someone else
            self._position = 0
        if size == self._position:
            return []
        with self._path.open("rb") as file:
            file.seek(max(self._position, size - _READ_BYTES_MAX))
            text = self._rest + file.read(_READ_BYTES_MAX)
            self._position = file.tell()
        *lines, self._rest = text.split(b"\n")
        if size > _FILE_BYTES_MAX:
            self._roll_over()
        shown = [line for line in (format_line(self._name, each) for each in lines) if line]
        if len(shown) > _LINES_MAX:
            return [*shown[:_LINES_MAX], f"{self._name}: {len(shown) - _LINES_MAX} more in {self._path}"]
        return shown

    def _roll_over(self) -> None:
        # Children append, so that cutting the file under them is safe.
        shutil.copyfile(self._path, self._path.with_name(self._path.name + ".1"))
        with self._path.open("r+b") as file:
            file.truncate(0)
        self._position = 0


def format_line(name: str, line: bytes) -> str | None:
    """One line of a structured log for people, or None when it is below a warning or not structured."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    if not isinstance(found, dict) or found.get("level") not in _SHOWN_LEVELS:
        return None
    fields = " ".join(f"{key}={value}" for key, value in found.items() if key not in _FIELDS_HIDDEN)
    text = f"{name}: {found['level']}: {found.get('event', '')} {fields}".rstrip().replace("\n", " ")
    return text if len(text) <= _LINE_CHARACTERS_MAX else text[:_LINE_CHARACTERS_MAX] + "…"
