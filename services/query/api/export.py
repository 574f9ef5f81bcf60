"""Calls as CSV, streamed."""

from __future__ import annotations

from collections.abc import AsyncIterator

from services.query.parts import QueryParts
from services.query.read.calls import CallFilter
from services.query.read.export import COLUMNS, stream_csv
from services.query.read.session import reading


async def csv_of_calls(parts: QueryParts, wanted: CallFilter) -> AsyncIterator[bytes]:
    """The lines of the file, some kilobytes at once."""
    yield (",".join(COLUMNS) + "\n").encode()
    async with reading(parts.reads) as conn:
        async for lines in stream_csv(conn, wanted, parts.clock()):
            yield lines
