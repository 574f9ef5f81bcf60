"""What the routers work with, built once by main and found at `request.app.state.parts`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fastapi import Request
from psycopg_pool import AsyncConnectionPool

from pricing.entries import PriceBook
from services.query.read.book_in_force import BookInForce
from services.query.read.budget_snapshot import BudgetSnapshot
from services.query.settings import QuerySettings
from services.runtime.keys import KeyStore
from services.runtime.rates import RateLimit


@dataclass(frozen=True, slots=True)
class QueryParts:
    """`reads` are for `services.query.read.session.reading`, `writes` for everything that changes something. `book` is
    the file's; `books` tells which one is billed by."""

    settings: QuerySettings
    reads: AsyncConnectionPool[Any]
    writes: AsyncConnectionPool[Any]
    keys: KeyStore
    clock: Callable[[], datetime]
    book: PriceBook
    # Open event streams; they are counted to be limited.
    listeners: set[int] = field(default_factory=set)
    # By key, and by client network for keys that nobody has.
    requests: RateLimit = field(default_factory=lambda: RateLimit(0))
    unknown_keys: RateLimit = field(default_factory=lambda: RateLimit(0))
    budgets: BudgetSnapshot = field(default_factory=BudgetSnapshot)
    books: BookInForce = field(default_factory=BookInForce)


def parts_of(request: Request) -> QueryParts:
    """The parts of the app that answers this request."""
    parts = request.app.state.parts
    assert isinstance(parts, QueryParts)
    return parts
