"""What processes use: CPU seconds of a process and its children, peak memory of one, versions of what runs."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import psutil
import psycopg
from psycopg.conninfo import conninfo_to_dict

from services.runtime.embedded.backends import Backends


@dataclass
class Cpu:
    """CPU seconds by name since the `start`."""

    pids: Mapping[str, int]
    _before: dict[str, float] = field(default_factory=dict)

    def start(self) -> None:
        self._before = {name: cpu_seconds(pid) for name, pid in self.pids.items()}

    def used(self) -> dict[str, float]:
        return {name: cpu_seconds(pid) - self._before[name] for name, pid in self.pids.items()}


def cpu_seconds(pid: int) -> float:
    """Of the process, its living children and those that ended."""
    process = psutil.Process(pid)
    total = 0.0
    for each in (process, *process.children(recursive=True)):
        try:
            times = each.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    times = process.cpu_times()
    return total + float(times.children_user + times.children_system)


def peak_megabytes(pid: int) -> float:
    """The most resident memory the process ever had, as the kernel remembers it."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("the kernel doesn't say VmHWM")


def backend_pids(backends: Backends) -> dict[str, int]:
    """The broker's and the database's main processes where they run on this machine."""
    ports = {
        "broker": int(backends.kafka_bootstrap.rpartition(":")[2]),
        "database": int(str(conninfo_to_dict(backends.database_dsn).get("port", 5432))),
    }
    listening: dict[int, int] = {}
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.pid and connection.laddr:
            listening[connection.laddr.port] = connection.pid
    return {name: listening[port] for name, port in ports.items() if port in listening}


def versions(dsn: str) -> str:
    """One line: machine, database, libraries."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT current_setting('server_version'), current_setting('synchronous_commit'), "
            "(SELECT extversion FROM pg_extension WHERE extname = 'timescaledb')"
        ).fetchone()
    assert row is not None
    timescale = f" with TimescaleDB {row[2]}" if row[2] else ""
    database = f"PostgreSQL {row[0]}{timescale}, synchronous_commit {row[1]}"
    libraries = ", ".join(
        f"{name} {version(name)}" for name in ("faust-streaming", "pyarrow", "ptars", "pgpq", "psycopg")
    )
    return f"{os.cpu_count()} cores, Python {platform.python_version()}; {database}; {libraries}"
