"""The ledger's own identities, and the ledger against what is kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

import psycopg
from psycopg.rows import class_row

from services.audit.report import Difference, Identity, PartitionRow

# (topic id, partition) → the first offset the broker still has, and the next it will give.
BrokerEnds = Mapping[tuple[str, int], tuple[int, int]]

# Before any event; TimescaleDB knows no bucket of -infinity.
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ROWS: Final = (
    'SELECT l.topic, l.topic_id, l.kafka_partition AS "partition", l.next_offset, p.end_offset, l.stream_through, '
    "l.events_read, l.counted, l.duplicate, l.dead_lettered, l.quarantined FROM ledger AS l "
    "LEFT JOIN partition_progress AS p USING (topic_id, kafka_partition) "
    "ORDER BY l.topic, l.topic_id, l.kafka_partition LIMIT 10000"
)
_PASSED: Final = (
    "SELECT l.topic, l.kafka_partition, l.next_offset, l.read_from + l.messages_read + coalesce((SELECT "
    "sum(g.next_offset - g.first_offset) FROM ledger_gap AS g WHERE (g.cluster_id, g.topic_id, g.kafka_partition) = "
    "(l.cluster_id, l.topic_id, l.kafka_partition) AND g.first_offset >= l.read_from "
    "AND g.next_offset <= l.next_offset), 0) FROM ledger AS l ORDER BY 1, 2"
)
_BY_PARTITION: Final = (
    "SELECT p.kafka_partition, p.counted, coalesce(m.calls, 0) FROM (SELECT kafka_partition, sum(counted) AS counted "
    "FROM ledger GROUP BY 1) AS p LEFT JOIN (SELECT kafka_partition, sum(calls) AS calls FROM usage_minute_base "
    "GROUP BY 1) AS m USING (kafka_partition) WHERE p.counted <> coalesce(m.calls, 0)"
)
# Days are kept longest: below the floor of the minutes they stand for them.
_KEPT: Final = (
    "SELECT coalesce((SELECT sum(calls) FROM usage_minute_base WHERE bucket >= %(floor)s), 0) "
    "+ coalesce((SELECT sum(calls) FROM usage_day WHERE bucket < %(floor)s), 0)"
)


def read_ledger(connection: psycopg.Connection) -> tuple[PartitionRow, ...]:
    """Every partition's line, those of topics that are read no more among them."""
    with connection.cursor(row_factory=class_row(PartitionRow)) as cursor:
        return tuple(cursor.execute(_ROWS).fetchall())


def read_equals_outcomes(rows: Iterable[PartitionRow]) -> Identity:
    """Each partition: events read = counted + duplicate + dead-lettered + quarantined."""
    rows = tuple(rows)
    differences = tuple(
        Difference("ledger", None, None, f"{row.topic}/{row.partition}: events read", row.events_read, _outcomes(row))
        for row in rows
        if row.events_read != _outcomes(row)
    )
    names = ("events_read", "counted", "duplicate", "dead_lettered", "quarantined")
    totals = {name: sum(getattr(row, name) for row in rows) for name in names}
    return Identity("read from Kafka = counted + duplicate + dead-lettered + quarantined", differences, totals)


def _outcomes(row: PartitionRow) -> int:
    return row.counted + row.duplicate + row.dead_lettered + row.quarantined


def offsets_equal_messages(connection: psycopg.Connection) -> Identity:
    """Each partition: the ledger's offset = messages read and offsets passed on record."""
    rows = connection.execute(_PASSED).fetchall()
    differences = tuple(
        Difference("ledger", None, None, f"{topic}/{partition}: next offset", int(read), int(offset))
        for topic, partition, offset, read in rows
        if offset != read
    )
    return Identity(
        "ledger offset = messages read + offsets passed", differences, {"messages": sum(int(r[2]) for r in rows)}
    )


def offsets_within_log(rows: Iterable[PartitionRow], ends: BrokerEnds | None) -> Identity:
    """The ledger points into the log. Messages still to be read are no difference; how many there are is said."""
    name = "ledger offset within the log"
    known = {(row.topic_id, row.partition): (0, row.end_offset) for row in rows if row.end_offset is not None}
    found = dict(ends) if ends is not None else known
    differences, behind, checked = [], 0, 0
    for row in rows:
        first_and_end = found.get((row.topic_id, row.partition))
        if first_and_end is None:
            continue
        first, end = first_and_end
        checked += 1
        # What a worker wrote about the log's end may be older than the ledger.
        beyond = row.next_offset > end and ends is not None
        behind += max(end - row.next_offset, 0)
        if beyond or row.next_offset < first:
            place = f"{row.topic}/{row.partition}: next offset"
            differences.append(Difference("broker", None, None, place, end if beyond else first, row.next_offset))
    note = "" if ends is not None else "the broker was not asked; its last end known to the workers was taken"
    return Identity(name, tuple(differences), {"partitions": checked, "messages_behind": behind}, note)


def counted_equals_kept(connection: psycopg.Connection, floors: Mapping[str, datetime]) -> Identity:
    """What the ledger counted is what the rollups hold: by partition while nothing was dropped, else as a whole."""
    name = "counted by the ledger = calls kept"
    dropped = floors.get("usage_minute")
    row = connection.execute("SELECT coalesce(sum(counted), 0) FROM ledger").fetchone()
    counted = int(row[0]) if row else 0
    kept = _kept(connection, dropped)
    differences: list[Difference] = []
    if kept != counted:
        differences = [
            Difference("usage_minute", None, None, f"partition {partition}: calls", int(expected), int(found))
            for partition, expected, found in (() if dropped else connection.execute(_BY_PARTITION).fetchall())
        ] or [Difference("usage_minute", None, None, "calls", counted, kept)]
    note = ""
    if "usage_day" in floors and differences:
        differences, note = [], "not comparable: days that were counted are kept no more"
    return Identity(name, tuple(differences), {"counted": counted, "calls": kept}, note)


def _kept(connection: psycopg.Connection, dropped: datetime | None) -> int:
    row = connection.execute(_KEPT, {"floor": dropped or _BEGINNING}).fetchone()
    return int(row[0]) if row else 0
