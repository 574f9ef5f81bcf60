"""The database is killed, away, older than it was, or full."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from deploy.timescale.migrate import migrate
from services.runtime.children import kill
from services.runtime.embedded.postgres_config import OWNER, SUPERUSER
from services.runtime.embedded.reach import database_programs, database_user
from services.runtime.embedded.startup import StartError
from tests.backends import with_database
from tests.fault.conftest import Breakable
from tests.fault.system import System
from tests.integration.processor.running import wait_until

_AWAY_SECONDS = 60


def test_killed_in_the_middle_of_a_copy_and_away_for_a_while(
    system: System, breakable: Breakable, tmp_path: Path
) -> None:
    assert breakable.postgres
    marker = tmp_path / "copying"
    processor = system.processor(FAULT_FILE=str(marker))
    system.send(system.messages(30_000))
    with system.watched():
        processor.start(FAULT="in_copy:5:PAUSE")
        wait_until(marker.exists, "a copy is half sent", 60)
        _kill_database(breakable)
        marker.unlink()
        time.sleep(_AWAY_SECONDS)
        assert processor.running(), "it waits and tries again"
        assert processor.said("trying again")
        _start_database(breakable)
        system.assert_exact()
    assert processor.stop() == 0


def test_killed_at_random_while_everything_is_sent_twice(system: System, breakable: Breakable) -> None:
    assert breakable.postgres
    messages = system.messages(40_000)
    with system.watched(), system.kept(system.processor()):
        for key in (b"once", b"again"):
            system.send(messages, key)
            time.sleep(system.draw.random() * 2)
            _kill_database(breakable)
            _start_database(breakable)
        system.assert_exact()


def test_restored_from_an_older_dump(system: System, breakable: Breakable, tmp_path: Path) -> None:
    assert breakable.postgres
    processor = system.processor()
    with system.watched():
        processor.start()
        system.send(system.messages(15_000))
        system.wait_counted(7_000)
        dump = tmp_path / "older.dump"
        _run("pg_dump", "--format=custom", f"--file={dump}", system.dsn)
        older = system.counted()
        system.send(system.messages(15_000))
        system.wait_counted(system.books.calls)
        processor.stop()
    _recreate(system, migrated=False)
    _run("pg_restore", "--no-owner", f"--dbname={system.dsn}", str(dump))
    assert system.counted() <= older, "what came after the dump is gone"
    with system.watched():
        processor.start()
        system.assert_exact()
    assert processor.stop() == 0


def test_a_full_disk_is_waited_for(system: System, breakable: Breakable) -> None:
    with _small_disk(breakable, megabytes=24) as disk:
        _recreate(system, tablespace=disk.tablespace)
        try:
            processor = system.processor()
            system.send(system.messages(60_000))
            with system.watched():
                processor.start()
                wait_until(lambda: processor.said("No space left on device"), "the disk is full", 60)
                assert processor.running()
                assert system.counted() < system.books.calls
                disk.enlarge()
                system.assert_exact()
            assert processor.stop() == 0
        finally:
            system.stop()
            _recreate(system, migrated=False)


def _kill_database(breakable: Breakable) -> None:
    postgres = breakable.postgres
    assert postgres.process is not None
    kill(postgres.process)


def _start_database(breakable: Breakable) -> None:
    postgres = breakable.postgres
    for _ in range(20):  # until the kernel has let go of what the killed one held
        postgres.relaunch()
        try:
            postgres.wait_ready()
        except StartError:
            time.sleep(0.5)
        else:
            return
    raise AssertionError("the database does not start again")


def _run(program: str, *arguments: str) -> None:
    path = database_programs(database_user()) / program
    done = subprocess.run([str(path), *arguments], capture_output=True, text=True, env={"LC_ALL": "C"})
    assert done.returncode == 0, done.stderr


def _name(dsn: str) -> str:
    return str(conninfo_to_dict(dsn)["dbname"])


def _recreate(system: System, *, migrated: bool = True, tablespace: str = "") -> None:
    """Drops the system's database and makes an empty one of the same name."""
    name = sql.Identifier(_name(system.dsn))
    with psycopg.connect(system.backends.database_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
        place = sql.SQL("TABLESPACE {}").format(sql.Identifier(tablespace)) if tablespace else sql.SQL("")
        connection.execute(sql.SQL("CREATE DATABASE {} {}").format(name, place))
    if migrated:
        migrate(with_database(system.backends.database_dsn, _name(system.dsn)))


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A file system that is soon full, with a tablespace on it."""

    folder: Path
    tablespace: str

    def enlarge(self) -> None:
        subprocess.run(["mount", "-o", "remount,size=500m", str(self.folder)], check=True)


@contextmanager
def _small_disk(breakable: Breakable, megabytes: int) -> Iterator[SmallDisk]:
    """Needs the right to mount."""
    user, postgres = database_user(), breakable.postgres
    if os.geteuid() != 0 or user is None:
        pytest.skip("a small file system is made by mounting one, which needs root")
    folder = Path(f"/var/lib/spendstream/small-disk-{os.getpid()}")
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={megabytes}m,uid={user.uid},gid={user.gid},mode=700"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"mounting isn't allowed here: {mounted.stderr.decode().strip()}")
    password = breakable.parts.home.secret("superuser_password")
    superuser = f"postgresql://{SUPERUSER}:{password}@127.0.0.1:{postgres.port}/postgres"
    try:
        with psycopg.connect(superuser, autocommit=True) as connection:
            made = sql.SQL("CREATE TABLESPACE small OWNER {} LOCATION {}")
            connection.execute(made.format(sql.Identifier(OWNER), sql.Literal(str(folder))))
        yield SmallDisk(folder, "small")
    finally:
        with psycopg.connect(superuser, autocommit=True) as connection:
            connection.execute("DROP TABLESPACE IF EXISTS small")
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()
