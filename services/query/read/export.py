"""Calls one by one for export, in constant memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row

from services.query.read.calls import CALL_COLUMNS, CALL_FROM, Call, CallFilter

_ROWS_AT_ONCE = 2_000


async def stream_calls(conn: AsyncConnection[Any], wanted: CallFilter) -> AsyncIterator[list[Call]]:
    """All calls in order of time, some thousands at once; `conn` stays in its transaction until the end."""
    where, parameters = wanted.where()
    async with conn.cursor("export", row_factory=class_row(Call)) as cursor:
        sql = f"SELECT {CALL_COLUMNS} FROM {CALL_FROM} WHERE {where} ORDER BY e.occurred_at, e.event_key"
        await cursor.execute(sql.encode(), parameters)
        while rows := await cursor.fetchmany(_ROWS_AT_ONCE):
            yield rows
