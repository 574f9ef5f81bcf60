"""Sends what COPY is to take; columns and bytes are made in `copying`."""

from __future__ import annotations

import psycopg
import pyarrow as pa

from services.processor.copying import CopyData, copy_statement, to_copy


def copy_rows(connection: psycopg.Connection, table: str, columns: tuple[str, ...], rows: pa.Table) -> None:
    """Sends `columns` of all rows."""
    copy(connection, table, columns, to_copy(rows, columns))


def copy(connection: psycopg.Connection, table: str, columns: tuple[str, ...], data: CopyData) -> None:
    """Sends what `to_copy` made."""
    with connection.cursor().copy(copy_statement(table, columns)) as sending:
        for piece in data:
            sending.write(piece)
