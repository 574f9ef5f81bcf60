"""A connection to the database that is opened when it is needed, kept, and given up at the first error on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg


class KeptConnection:
    """One user's own connection: autocommit, in UTC. Not thread-safe.

    After an error its state is unknown; whoever asks next gets a new one. That is also how it comes back by itself when
    the database was away.
    """

    def __init__(self, dsn: str, name: str, options: str = "", stages: Sequence[str] = ()) -> None:
        """`name` is what the database shows it as. `options` are settings of the session as libpq takes them; `stages`
        are statements each new connection begins with, such as temporary tables."""
        self._dsn = dsn
        self._name = name
        self._options = f"-c timezone=UTC {options}".rstrip()
        self._stages = tuple(stages)
        self._connection: psycopg.Connection | None = None

    @contextmanager
    def opened(self) -> Iterator[psycopg.Connection]:
        """Raises psycopg.OperationalError when the database is away, and whatever the statements inside raise; after
        any psycopg.Error the connection is closed."""
        try:
            yield self._opened()
        except psycopg.Error:
            self.close()
            raise

    def close(self) -> None:
        """Harmless when it is closed; the next use opens it again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _opened(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            # Kept before its stages run: when one fails it is there to be closed.
            self._connection = psycopg.connect(
                self._dsn, autocommit=True, options=self._options, application_name=self._name
            )
            for stage in self._stages:
                self._connection.execute(stage.encode())
        return self._connection


def is_the_one(connection: psycopg.Connection, lock: int) -> bool:
    """Whether this session holds the advisory lock, which one in the whole system can; takes it when it is free."""
    # Session locks nest; asking again while holding would need as many unlocks, so look first.
    row = connection.execute(
        "SELECT CASE WHEN EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = %(lock)s "
        "AND pid = pg_backend_pid() AND granted) THEN true ELSE pg_try_advisory_lock(%(lock)s) END",
        {"lock": lock},
    ).fetchone()
    return bool(row and row[0])
