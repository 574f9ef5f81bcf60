"""The price book in force, and its file: swapped in whole while the worker runs, or refused whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import psycopg
import structlog

from pricing.book import PriceBookError, read_book, read_text
from pricing.entries import PriceBook
from services.processor import metrics

log = structlog.get_logger()
Seen: TypeAlias = tuple[int, int, int]
# Said in a log line and in the database; the file itself says the rest.
_PROBLEMS_SAID_MAX = 20

_IN_FORCE = (
    "INSERT INTO price_book (version, body) VALUES (%s, %s) ON CONFLICT (version) DO UPDATE SET last_loaded_at = now()"
)
_NOT_REFUSED = "DELETE FROM price_book_refusal WHERE path = %s"
_REFUSED = (
    "INSERT INTO price_book_refusal (path, problems, version_in_force) VALUES (%s, %s, %s) "
    "ON CONFLICT (path) DO UPDATE SET refused_at = now(), problems = EXCLUDED.problems, "
    "version_in_force = EXCLUDED.version_in_force"
)
_LAST = "SELECT body FROM price_book ORDER BY last_loaded_at DESC LIMIT 1"


class BookFile:
    """`book()` is the book in force, from any thread; `look` watches the file, from one.

    Who edits a file may save it in parts: it is read once it has looked the same twice.
    """

    def __init__(self, path: Path, dsn: str) -> None:
        """Reads the file. A broken one is refused and the last good book of the database is in force; PriceBookError
        where there is none."""
        self._path = path
        self._dsn = dsn
        self._looked_at: Seen | None = _stamp(path)
        self._read_stamp = self._looked_at
        self._untold: Callable[[psycopg.Connection], None] | None = None
        try:
            text = read_text(path)
            self._book = read_book(text, path)
        except PriceBookError as error:
            self._book = self._last_good(error)
            self._refuse(error)
        else:
            self._adopt(self._book, text)

    def book(self) -> PriceBook:
        return self._book

    def look(self) -> None:
        """Swaps the file's book in if it is another, right one; says so in any case. Raises psycopg.Error when the
        database is away and must be told; call again."""
        stamp = _stamp(self._path)
        settled = stamp == self._looked_at
        self._looked_at = stamp
        if settled and stamp != self._read_stamp:
            self._read_stamp = stamp
            self._read_again()
        self._tell()

    def _read_again(self) -> None:
        try:
            text = read_text(self._path)
            book = read_book(text, self._path)
        except PriceBookError as error:
            self._refuse(error)
        else:
            self._adopt(book, text)

    def _adopt(self, book: PriceBook, text: str) -> None:
        before, self._book = self._book.version, book
        metrics.BOOK_REFUSED.set(0)
        log.info("price book in force", version=book.version, before=before, path=str(self._path))

        def tell(connection: psycopg.Connection) -> None:
            connection.execute(_IN_FORCE, (book.version, text))
            connection.execute(_NOT_REFUSED, (str(self._path),))

        self._untold = tell

    def _refuse(self, error: PriceBookError) -> None:
        lines = str(error).splitlines()
        said = lines[:_PROBLEMS_SAID_MAX]
        metrics.BOOK_REFUSED.set(1)
        log.error("price book refused", problems=said, count=len(lines), version_in_force=self._book.version)
        values = (str(self._path), "\n".join(said), self._book.version)
        self._untold = lambda connection: _execute(connection, _REFUSED, values)

    def _tell(self) -> None:
        tell = self._untold
        if tell is None:
            return
        with psycopg.connect(self._dsn, application_name="price-book") as connection:
            tell(connection)
        self._untold = None

    def _last_good(self, error: PriceBookError) -> PriceBook:
        with psycopg.connect(self._dsn, application_name="price-book") as connection:
            row = connection.execute(_LAST).fetchone()
        if row is None:
            raise error
        return read_book(row[0], self._path)


def _execute(connection: psycopg.Connection, query: str, values: tuple[str, ...]) -> None:
    connection.execute(query.encode(), values)


def _stamp(path: Path) -> Seen | None:
    """What changes when the file does; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
