"""The price book in force: its file and the overrides of the database, swapped in whole while the worker runs, or
refused whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import psycopg
import structlog

from pricing.book import PriceBookError, read_book, read_text
from pricing.entries import PriceBook
from services.contracts.overrides import OVERRIDES_MAX, READ_OVERRIDES, Override, overrides_text
from services.processor import metrics
from services.processor.kept_connection import KeptConnection

log = structlog.get_logger()
Seen: TypeAlias = tuple[int, int, int]
# Said in a log line and in the database; the file itself says the rest.
_PROBLEMS_SAID_MAX = 20

_IN_FORCE = (
    "INSERT INTO price_book (version, body, overrides) VALUES (%s, %s, %s) "
    "ON CONFLICT (version) DO UPDATE SET last_loaded_at = now()"
)
_NOT_REFUSED = "DELETE FROM price_book_refusal WHERE path = %s"
_REFUSED = (
    "INSERT INTO price_book_refusal (path, problems, version_in_force) VALUES (%s, %s, %s) "
    "ON CONFLICT (path) DO UPDATE SET refused_at = CASE WHEN price_book_refusal.problems = EXCLUDED.problems "
    "THEN price_book_refusal.refused_at ELSE now() END, problems = EXCLUDED.problems, "
    "version_in_force = EXCLUDED.version_in_force"
)
_LAST = "SELECT body, overrides FROM price_book ORDER BY last_loaded_at DESC LIMIT 1"


class BookFile:
    """`book()` is the book in force, from any thread; `look` watches the file and the overrides, from one.

    Who edits a file may save it in parts: it is read once it has looked the same twice.
    """

    def __init__(self, path: Path, dsn: str) -> None:
        """Reads file and overrides. Broken ones are refused and the last good book of the database is in force;
        PriceBookError where there is none. Raises psycopg.Error when the database is away."""
        self._path = path
        self._connection = KeptConnection(dsn, "price-book")
        self._looked_at: Seen | None = _stamp(path)
        self._read_stamp = self._looked_at
        self._untold: Callable[[psycopg.Connection], None] | None = None
        with self._connection.opened() as connection:
            self._overrides = _read_overrides(connection)
        try:
            text = read_text(path)
            self._book = read_book(text, path, self._overrides)
        except PriceBookError as error:
            with self._connection.opened() as connection:
                self._book = _last_good(connection, path, error)
            self._refuse(error)
        else:
            self._adopt(self._book, text)

    def book(self) -> PriceBook:
        return self._book

    def look(self) -> None:
        """Swaps the book in if file or overrides are others, and right; says so in any case. Raises psycopg.Error when
        the database is away; call again."""
        stamp = _stamp(self._path)
        settled = stamp == self._looked_at
        self._looked_at = stamp
        changed = settled and stamp != self._read_stamp
        with self._connection.opened() as connection:
            overrides = _read_overrides(connection)
            if changed or (overrides != self._overrides and stamp == self._read_stamp):
                self._read_stamp, self._overrides = stamp, overrides
                self._read_again()
            self._tell(connection)

    def close(self) -> None:
        self._connection.close()

    def _read_again(self) -> None:
        try:
            text = read_text(self._path)
            book = read_book(text, self._path, self._overrides)
        except PriceBookError as error:
            self._refuse(error)
        else:
            self._adopt(book, text)

    def _adopt(self, book: PriceBook, text: str) -> None:
        before, self._book = self._book.version, book
        metrics.BOOK_REFUSED.set(0)
        log.info("price book in force", version=book.version, before=before, path=str(self._path))
        values = (book.version, text, self._overrides)

        def tell(connection: psycopg.Connection) -> None:
            connection.execute(_IN_FORCE, values)
            connection.execute(_NOT_REFUSED, (str(self._path),))

        self._untold = tell

    def _refuse(self, error: PriceBookError) -> None:
        lines = str(error).splitlines()
        said = lines[:_PROBLEMS_SAID_MAX]
        metrics.BOOK_REFUSED.set(1)
        log.error("price book refused", problems=said, count=len(lines), version_in_force=self._book.version)
        values = (str(self._path), "\n".join(said), self._book.version)
        self._untold = lambda connection: _execute(connection, _REFUSED, values)

    def _tell(self, connection: psycopg.Connection) -> None:
        tell = self._untold
        if tell is None:
            return
        with connection.transaction():
            tell(connection)
        self._untold = None


def _last_good(connection: psycopg.Connection, path: Path, error: PriceBookError) -> PriceBook:
    row = connection.execute(_LAST).fetchone()
    if row is None:
        raise error
    return read_book(row[0], path, row[1])


def _read_overrides(connection: psycopg.Connection) -> str:
    rows = connection.execute(READ_OVERRIDES.encode()).fetchmany(OVERRIDES_MAX)
    return overrides_text(Override(*row) for row in rows)


def _execute(connection: psycopg.Connection, query: str, values: tuple[str, ...]) -> None:
    connection.execute(query.encode(), values)


def _stamp(path: Path) -> Seen | None:
    """What changes when the file does; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
