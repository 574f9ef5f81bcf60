"""How commands find the Spendstream that `spendstream up` is running: a private file in its data folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.runtime.children import is_alive

FILE_NAME = "running.json"


@dataclass(frozen=True, slots=True)
class Running:
    """A running Spendstream: its process, its addresses by name, and the key and backends it uses."""

    pid: int
    urls: dict[str, str]
    admin_key: str
    kafka_bootstrap: str
    database_dsn: str


def find_running(home: Path) -> Running | None:
    """The one that runs on this data folder and is ready, or None."""
    path = home / FILE_NAME
    try:
        found: dict[str, Any] = json.loads(path.read_text())
        running = Running(**found)
    except (OSError, ValueError, TypeError):
        return None
    return running if is_alive(running.pid) else None
