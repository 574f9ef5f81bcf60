"""Marks what a transaction wrote into: closed buckets, so that the refresher builds the levels above them again; and
how many rows it added to the base tables of the rollups, so that the merger finds them."""

from __future__ import annotations

from collections.abc import Iterable

import psycopg

from services.contracts.errors import Crash
from services.processor.fold import RowCounts
from services.processor.statements import CLOSED_THROUGH, HOLD_BUCKETS_OPEN, MARK_DIRTY, MARK_UNMERGED

_BUCKET_US = 900_000_000


def mark_dirty(connection: psycopg.Connection, minutes: Iterable[int]) -> None:
    """Marks the closed ones of the buckets in which these minutes (epoch microseconds) lie; none closes until the
    transaction this runs in has ended."""
    # Two statements: the second one's snapshot must be younger than the lock.
    connection.execute(HOLD_BUCKETS_OPEN)
    row = connection.execute(CLOSED_THROUGH).fetchone()
    if row is None:
        raise Crash("rollup_state is empty")
    closed_us = int(row[0])
    buckets = sorted({minute // _BUCKET_US * _BUCKET_US for minute in minutes if minute < closed_us})
    if buckets:
        connection.execute(MARK_DIRTY, ([bucket / 1e6 for bucket in buckets],))


def mark_unmerged(connection: psycopg.Connection, counts: RowCounts) -> None:
    """Writes down that a transaction added these rows."""
    if counts:
        tables, buckets = zip(*counts, strict=True)
        moments = [bucket.timestamp() for bucket in buckets]
        connection.execute(MARK_UNMERGED, (list(tables), moments, list(counts.values())))
