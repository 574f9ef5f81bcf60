"""Where "everything" begins."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from psycopg import AsyncConnection

from services.query.read.statement import tenant_condition


async def read_first_moment(conn: AsyncConnection[Any], tenants: tuple[int, ...] | None) -> datetime | None:
    """A moment at or before the first event of these tenants, less than a day before it; None where there is none."""
    where = " AND ".join(tenant_condition(tenants, "") or ["true"])
    # Every call is in the family of channels, whose running day is the smallest to look through. A day that waits for
    # refresh may be missing yet from its level; the mark itself tells of it.
    cursor = await conn.execute(
        f"SELECT least((SELECT min(bucket) FROM channel_day WHERE {where}), "
        "(SELECT min(date_bin('1 day', bucket, TIMESTAMPTZ '1970-01-01 00:00:00+00')) FROM dirty_bucket))".encode()
    )
    row = await cursor.fetchone()
    found = row[0] if row else None
    assert found is None or isinstance(found, datetime)
    return found
