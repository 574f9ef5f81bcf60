"""What the embedded database is told. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

OWNER = "spendstream"
DATABASE = "spendstream"
SUPERUSER = "postgres"


def server_settings(port: int) -> Mapping[str, str]:
    """Settings for a small machine that also runs everything else; commits are durable."""
    return {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "max_connections": "100",
        "shared_buffers": "256MB",
        "work_mem": "16MB",
        "maintenance_work_mem": "128MB",
        "effective_cache_size": "1GB",
        "max_wal_size": "2GB",
        "min_wal_size": "128MB",
        "wal_compression": "off",
        # A flush writes some 20 MB before it commits; the writer has most of it on disk by then.
        "wal_buffers": "64MB",
        "wal_writer_delay": "20ms",
        "synchronous_commit": "on",
        "checkpoint_timeout": "10min",
        # Vacuuming minutes of a steady stream took a core of two for seconds; slower, nobody notices.
        "autovacuum_vacuum_cost_delay": "10ms",
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "random_page_cost": "1.1",
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_min_messages": "warning",
        "log_checkpoints": "off",
    }


def initdb_command(initdb: Path, data: Path, password_file: Path) -> list[str]:
    """UTF-8, byte-order collation (the same on every machine), passwords for everyone, the loopback included."""
    return [
        str(initdb),
        f"--pgdata={data}",
        f"--username={SUPERUSER}",
        f"--pwfile={password_file}",
        "--encoding=UTF8",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C",
        "--auth=scram-sha-256",
        "--no-instructions",
        # The folder is empty until initdb is done, and made again if it was interrupted.
        "--no-sync",
    ]


def server_command(postgres: Path, data: Path, settings: Mapping[str, str]) -> list[str]:
    options = [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]
    return [str(postgres), "-D", str(data), *options]
