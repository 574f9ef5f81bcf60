"""A connection is kept while it works, and replaced by a new one after an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from services.processor.kept_connection import KeptConnection, is_the_one


def pid(kept: KeptConnection) -> int:
    with kept.opened() as connection:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    return int(row[0])


@pytest.fixture
def kept(database: str) -> Iterator[KeptConnection]:
    with closing(KeptConnection(database, "kept", "-c work_mem=7MB", ("CREATE TEMP TABLE staged (n integer)",))) as one:
        yield one


def test_it_is_opened_once_with_its_name_settings_and_stages(kept: KeptConnection) -> None:
    first = pid(kept)
    with kept.opened() as connection:
        row = connection.execute(
            "SELECT current_setting('application_name'), current_setting('timezone'), current_setting('work_mem'), "
            "(SELECT count(*) FROM staged)"
        ).fetchone()
    assert row == ("kept", "UTC", "7MB", 0)
    assert pid(kept) == first


def test_after_an_error_the_next_use_has_a_new_one_with_its_stages(kept: KeptConnection) -> None:
    first = pid(kept)
    with pytest.raises(psycopg.errors.DivisionByZero), kept.opened() as connection:
        connection.execute("SELECT 1 / 0")
    assert connection.closed
    assert pid(kept) != first
    with kept.opened() as connection:
        connection.execute("INSERT INTO staged VALUES (1)")


def test_one_that_the_server_ended_is_replaced_at_the_use_after_the_one_that_noticed(
    kept: KeptConnection, database: str
) -> None:
    first = pid(kept)
    with psycopg.connect(database, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", (first,))
    with pytest.raises(psycopg.OperationalError):
        pid(kept)
    assert pid(kept) != first


def test_an_error_that_is_not_the_databases_leaves_it_as_it_is(kept: KeptConnection) -> None:
    first = pid(kept)
    with pytest.raises(KeyError), kept.opened():
        raise KeyError("of the caller's own")
    assert pid(kept) == first


def test_a_database_that_is_away_is_an_operational_error_and_closing_is_harmless() -> None:
    kept = KeptConnection("host=127.0.0.1 port=1 dbname=nowhere user=nobody connect_timeout=2", "kept")
    with pytest.raises(psycopg.OperationalError), kept.opened():
        raise AssertionError("there was a connection")
    kept.close()


def test_one_in_the_whole_system_holds_the_lock_however_often_it_asks(database: str) -> None:
    with closing(KeptConnection(database, "first")) as first, closing(KeptConnection(database, "second")) as second:
        with first.opened() as connection:
            assert [is_the_one(connection, 42) for _ in range(3)] == [True] * 3
            connection.execute("SELECT pg_advisory_unlock(42)")
        with second.opened() as connection:
            assert is_the_one(connection, 42), "asking again did not lock it again"
        with first.opened() as connection:
            assert not is_the_one(connection, 42)
