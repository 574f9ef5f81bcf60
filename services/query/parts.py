"""What the routers work with, built once by main and found at `request.app.state.parts`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import Request
from psycopg_pool import AsyncConnectionPool

from services.query.settings import QuerySettings
from services.runtime.keys import KeyStore


@dataclass(frozen=True, slots=True)
class QueryParts:
    """`reads` are for `services.query.read.session.reading`, `writes` for everything that changes something."""

    settings: QuerySettings
    reads: AsyncConnectionPool[Any]
    writes: AsyncConnectionPool[Any]
    keys: KeyStore
    clock: Callable[[], datetime]


def parts_of(request: Request) -> QueryParts:
    """The parts of the app that answers this request."""
    parts = request.app.state.parts
    assert isinstance(parts, QueryParts)
    return parts
