"""Events older than what identity remembers: nobody can tell any more whether they were counted, so they are set apart.

The acceptance window is measured against the broker's clock and decides the same in a replay; identities go by age. So
only a topic that is read again from long ago brings such events.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import psycopg
import pyarrow as pa

from services.processor.batch import Decoded, QuarantinedEvent
from services.processor.prepare import Flush, encode

_FLOOR_US = (
    "SELECT (extract(epoch FROM complete_from) * 1000000)::bigint FROM retention_floor "
    "WHERE relation = 'event_identity'"
)


def without_forgotten(connection: psycopg.Connection, flush: Flush) -> Flush:
    """The flush with what lies below the floor of identities moved to `quarantined`; the same object in the usual case.

    Runs in the flush's transaction. Identities go `retention.LEAD_SECONDS` after their floor moved.
    """
    if not flush.minutes:
        return flush
    row = connection.execute(_FLOOR_US).fetchone()
    # The floor is a midnight, so that no minute straddles it.
    if row is None or flush.minutes[0] >= row[0]:
        return flush
    decoded = flush.decoded
    occurred_us = np.asarray(decoded.table.column("occurred_at").cast(pa.int64()), dtype=np.int64)
    forgotten = occurred_us < row[0]
    if decoded.admitted:  # an operator has said that they count
        forgotten &= [not decoded.is_admitted(index) for index in range(len(forgotten))]
    if not forgotten.any():
        return flush
    apart = [_quarantined(decoded, index) for index in np.flatnonzero(forgotten).tolist()]
    # The flush itself stays as it was: a transaction that fails is tried again with it.
    left = replace(decoded, quarantined=[*decoded.quarantined, *apart])
    left.keep(~forgotten)
    return encode(left)


def _quarantined(decoded: Decoded, row: int) -> QuarantinedEvent:
    table = decoded.table
    return QuarantinedEvent(
        decoded.place(row),
        table.column("received_at")[row].value,
        table.column("occurred_at")[row].value,
        table.column("tenant_id")[row].as_py(),
        table.column("event_id")[row].as_py(),
        decoded.payloads[row],
    )
