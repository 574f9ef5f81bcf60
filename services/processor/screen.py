"""Leaves out of a flush what was counted before, while the flush before it is still being stored: what is left out here
is never priced, folded or sent.

It is a look ahead, not the judge: the key of `event_identity` is. What another worker commits meanwhile is met there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import psycopg
import pyarrow as pa
from numpy.typing import NDArray

from services.processor.batch import Decoded
from services.processor.identify import conflict, half_keys, identities
from services.processor.kept_connection import KeptConnection
from services.processor.prepare import TenantNumbers, tenant_column
from services.processor.sending import copy_rows

_STAGE = (
    "CREATE TEMP TABLE screened (row_no integer, tenant_no integer, event_key uuid, content_hash bigint) "
    "ON COMMIT DELETE ROWS"
)
_COLUMNS = ("row_no", "tenant_no", "event_key", "content_hash")
# OFFSET 0 keeps it a lookup a row; the planner knows nothing of the temporary table and would read all identities.
_COUNTED = (
    "SELECT s.row_no, i.content_hash = s.content_hash FROM screened AS s CROSS JOIN LATERAL (SELECT content_hash "
    "FROM event_identity AS e WHERE e.tenant_no = s.tenant_no AND e.event_key = s.event_key OFFSET 0) AS i "
    "ORDER BY s.row_no"
)
# (row, whether the content is the same)
Counted = list[tuple[int, bool]]


class Screen:
    """One worker's. Uses a connection of its own; not thread-safe.

    `needed` says whether duplicates are to be expected now: where there are none, looking is for nothing.
    """

    def __init__(self, dsn: str, needed: Callable[[], bool]) -> None:
        self._connection = KeptConnection(dsn, "processor-screen", stages=(_STAGE,))
        self._needed = needed

    def leave_out(self, decoded: Decoded, tenant_numbers: TenantNumbers, before: Iterable[Decoded]) -> bool:
        """Moves events counted before to `repeats`, or to `dead` when their content differs; whether it was done.

        `before`: the flushes that are being stored. What they hold counts as counted: if they fail, it is counted when
        the log is read again. Where the database is away nothing is left out: the flush meets it when it is stored.
        """
        if not self._needed() or not len(decoded.table):
            return False
        try:
            counted = dict(self._counted(decoded, tenant_numbers))
        except psycopg.Error:
            return False
        for flush in before:
            for row, same in under_way(decoded, flush):
                counted.setdefault(row, same)
        leave_out(decoded, sorted(counted.items()))
        return True

    def close(self) -> None:
        self._connection.close()

    def _counted(self, decoded: Decoded, tenant_numbers: TenantNumbers) -> Counted:
        keys = decoded.table.select(["event_key", "content_hash"])
        keys = keys.append_column("tenant_no", tenant_column(decoded.table, tenant_numbers))
        keys = keys.append_column("row_no", pa.array(np.arange(len(keys), dtype=np.int32)))
        with self._connection.opened() as connection, connection.transaction():
            copy_rows(connection, "screened", _COLUMNS, keys)
            return connection.execute(_COUNTED).fetchall()


def under_way(decoded: Decoded, before: Decoded) -> Counted:
    """The rows whose identity is in `before` too, and whether their content is the same. Pure."""
    shared = _shared(decoded.halves, before.halves)
    if not len(shared):
        return []
    mine, others = half_keys(decoded.table.column("event_key")), half_keys(before.table.column("event_key"))
    candidates = np.flatnonzero(np.isin(mine, shared))
    there = np.flatnonzero(np.isin(others, mine[candidates]))
    known = dict(zip(identities(before, there), _contents(before, there), strict=True))
    rows = zip(candidates.tolist(), identities(decoded, candidates), _contents(decoded, candidates), strict=True)
    return [(row, known[identity] == content) for row, identity, content in rows if identity in known]


def _shared(mine: NDArray[np.uint64], others: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """What both hold; both are in order."""
    if not len(others):
        return others
    at = np.minimum(np.searchsorted(others, mine), len(others) - 1)
    return np.asarray(mine[others[at] == mine], dtype=np.uint64)


def _contents(decoded: Decoded, rows: NDArray[np.int64]) -> list[int]:
    return list(decoded.table.column("content_hash").take(pa.array(rows)).to_pylist())


def leave_out(decoded: Decoded, counted: Counted) -> None:
    """Takes these rows out: equal content is a repeat, other content a conflict and dead. Pure."""
    if not counted:
        return
    decoded.repeats += decoded.places([row for row, same in counted if same])
    decoded.dead += [conflict(decoded, row) for row, same in counted if not same]
    left = np.ones(len(decoded.table), dtype=bool)
    left[[row for row, _ in counted]] = False
    decoded.keep(left)
