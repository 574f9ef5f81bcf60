"""Up to which moment the stream is counted."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from psycopg import AsyncConnection

# A partition read to its end at some moment is counted up to that moment; else up to the last message applied. Where a
# partition has neither, nothing can be said for the whole. Only the topic that is read now counts.
_DATA_THROUGH = """
SELECT CASE WHEN bool_or(through IS NULL) THEN NULL ELSE min(through) END
FROM (
    SELECT greatest(l.stream_through, CASE WHEN p.next_offset >= p.end_offset THEN p.seen_at END) AS through
    FROM ledger AS l FULL JOIN partition_progress AS p USING (topic_id, kafka_partition)
    WHERE topic_id = coalesce((SELECT topic_id FROM partition_progress ORDER BY seen_at DESC LIMIT 1), topic_id)
) AS partition
"""


async def read_data_through(conn: AsyncConnection[Any]) -> datetime | None:
    """The least over partitions, an idle one counts as now; None before anything was read."""
    row = await (await conn.execute(_DATA_THROUGH)).fetchone()
    return row[0] if row else None
