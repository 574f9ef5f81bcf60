"""The price book that events are billed by: the one the processor last put in force, its overrides among it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg_pool import AsyncConnectionPool

from pricing.book import read_book
from pricing.entries import PriceBook

_NEWEST = "SELECT version FROM price_book ORDER BY last_loaded_at DESC LIMIT 1"
_WHOLE = "SELECT body, overrides FROM price_book WHERE version = %s"
_REFUSED = "SELECT refused_at, problems, version_in_force FROM price_book_refusal ORDER BY refused_at DESC LIMIT 5"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A newer book that was refused; `problems` are lines with file, line and key."""

    at: datetime
    problems: tuple[str, ...]
    version_in_force: str


@dataclass(frozen=True, slots=True)
class InForce:
    """`body` is the text of its file; None before any processor had one in force, when `book` is this service's own."""

    book: PriceBook
    body: str | None
    refused: tuple[Refusal, ...]


@dataclass(slots=True)
class BookInForce:
    """Reads a book once for each version."""

    _known: tuple[PriceBook, str] | None = None
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def read(self, pool: AsyncConnectionPool[Any], own: PriceBook) -> InForce:
        """Raises psycopg.OperationalError when the database is away."""
        async with pool.connection() as conn:
            newest = await (await conn.execute(_NEWEST)).fetchone()
            refused = tuple(
                Refusal(at, tuple(problems.splitlines()), version)
                for at, problems, version in await (await conn.execute(_REFUSED)).fetchall()
            )
            if newest is None:
                return InForce(own, None, refused)
            async with self._reading:
                if self._known is None or self._known[0].version != newest[0]:
                    row = await (await conn.execute(_WHOLE, newest)).fetchone()
                    assert row is not None, "books are never deleted"
                    # Half a second of work, which must not stop the other answers.
                    book = await asyncio.to_thread(read_book, row[0], overrides=row[1])
                    self._known = (book, row[0])
                known = self._known
        return InForce(known[0], known[1], refused)
