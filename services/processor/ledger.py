"""The offset ledger: claiming partitions, fencing the owner before, and where to read on. SQL only."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import psycopg
import structlog
from psycopg.errors import LockNotAvailable

from services.contracts.errors import Crash
from services.processor.gaps import Gap

log = structlog.get_logger()
_LOCK_WAIT = "5s"
ADOPT = "an operator must adopt it: spendstream adopt"


@dataclass(frozen=True, slots=True)
class Stream:
    """A topic as the ledger knows it: names may come again after a topic is recreated, ids do not."""

    cluster_id: str
    topic_id: str
    topic: str


@dataclass(frozen=True, slots=True)
class Claim:
    """This worker's hold on a partition."""

    partition: int
    token: uuid.UUID
    next_offset: int


def foreign_topic(connection: psycopg.Connection, stream: Stream) -> str:
    """Why this log is not the one the ledger follows, whose offsets would mean nothing here; "" when it is."""
    other = connection.execute(
        "SELECT cluster_id, topic_id FROM ledger WHERE topic = %s AND (cluster_id, topic_id) <> (%s, %s) LIMIT 1",
        (stream.topic, stream.cluster_id, stream.topic_id),
    ).fetchone()
    if other is None or next_offsets(connection, stream):
        return ""
    return (
        f"topic {stream.topic} is not the one the ledger follows (ledger: cluster {other[0]} topic {other[1]}; "
        f"broker: cluster {stream.cluster_id} topic {stream.topic_id}); {ADOPT}"
    )


def next_offsets(connection: psycopg.Connection, stream: Stream) -> dict[int, int]:
    """Where each partition of this very log is to be read on, as far as anybody has claimed it."""
    rows = connection.execute(
        "SELECT kafka_partition, next_offset FROM ledger WHERE (cluster_id, topic_id) = (%s, %s)",
        (stream.cluster_id, stream.topic_id),
    )
    return dict(rows.fetchall())


def outside_log(offsets: Mapping[int, int], bounds: Mapping[int, tuple[int, int]]) -> str:
    """Why these offsets can't be read on from in a log of these bounds (first offset, end); "" when they can."""
    for partition, offset in sorted(offsets.items()):
        begin, end = bounds[partition]
        if offset < begin:
            return (
                f"partition {partition} begins at {begin}, the ledger is at {offset}: {begin - offset} messages were "
                f"deleted before they were counted; {ADOPT}"
            )
        if offset > end:
            return f"partition {partition} ends at {end}, the ledger is at {offset}; {ADOPT}"
    return ""


def claim(connection: psycopg.Connection, stream: Stream, partitions: Iterable[int]) -> dict[int, Claim]:
    """Takes the partitions over and says where to read on. A former owner that holds the lock is given 5 s, then ended.

    All get one token, which is new. Runs in autocommit. Raises psycopg.OperationalError when the database is away.
    """
    token = uuid.uuid4()
    return {partition: _claim_one(connection, stream, partition, token) for partition in sorted(partitions)}


def connection_name(token: uuid.UUID | None) -> str:
    """What a connection that writes under a claim calls itself: by this a successor finds, and ends, all that its owner
    has open."""
    return f"processor {token}" if token else "processor"


def _claim_one(connection: psycopg.Connection, stream: Stream, partition: int, token: uuid.UUID) -> Claim:
    key = {"cluster": stream.cluster_id, "topic_id": stream.topic_id, "partition": partition}
    connection.execute(
        "INSERT INTO ledger (cluster_id, topic_id, topic, kafka_partition) "
        "VALUES (%(cluster)s, %(topic_id)s, %(topic)s, %(partition)s) ON CONFLICT DO NOTHING",
        key | {"topic": stream.topic},
    )
    for _ in range(3):
        try:
            with connection.transaction():
                connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_WAIT}'")
                row = connection.execute(
                    "UPDATE ledger SET owner_token = %(token)s WHERE cluster_id = %(cluster)s "
                    "AND topic_id = %(topic_id)s AND kafka_partition = %(partition)s "
                    "RETURNING next_offset",
                    key | {"token": token},
                ).fetchone()
            if row is None:
                raise Crash(f"the ledger row of partition {partition} vanished")
            return Claim(partition, token, int(row[0]))
        except LockNotAvailable:
            _end_owner(connection, key)
    raise Crash(f"partition {partition} stays locked by an owner that can't be ended")


def _end_owner(connection: psycopg.Connection, key: Mapping[str, object]) -> None:
    # A client stopped inside COPY keeps its lock for as long as its connection lives; no server timeout frees it.
    connection.execute(
        "SELECT pg_terminate_backend(a.pid) FROM ledger AS l JOIN pg_stat_activity AS a "
        "ON a.application_name = 'processor ' || l.owner_token AND a.datname = current_database() "
        "WHERE l.cluster_id = %(cluster)s AND l.topic_id = %(topic_id)s AND l.kafka_partition = %(partition)s "
        "AND a.pid <> pg_backend_pid()",
        key,
    )


def lock(connection: psycopg.Connection, stream: Stream, claims: Mapping[int, Claim]) -> dict[int, int]:
    """Locks the claimed rows for this transaction, in order; next_offset by partition.

    Crashes when another worker has taken one over: this one was thought dead and must not write.
    """
    rows = connection.execute(
        "SELECT kafka_partition, next_offset, owner_token FROM ledger WHERE cluster_id = %s AND topic_id = %s "
        "AND kafka_partition = ANY(%s) ORDER BY kafka_partition FOR UPDATE",
        (stream.cluster_id, stream.topic_id, sorted(claims)),
    ).fetchall()
    for partition, _, token in rows:
        if token != claims[partition].token:
            raise Crash(f"partition {partition} was taken over by another worker")
    if len(rows) != len(claims):
        raise Crash("ledger rows are missing")
    return {partition: next_offset for partition, next_offset, _ in rows}


def record_gaps(connection: psycopg.Connection, stream: Stream, gaps: Iterable[Gap]) -> None:
    """Writes down, within the flush's transaction, which offsets were passed because the log has nothing there."""
    for gap in gaps:
        connection.execute(
            "INSERT INTO ledger_gap (cluster_id, topic_id, kafka_partition, first_offset, next_offset, reason) "
            "VALUES (%s, %s, %s, %s, %s, 'empty') ON CONFLICT DO NOTHING",
            (stream.cluster_id, stream.topic_id, gap.partition, gap.first_offset, gap.next_offset),
        )
        log.warning(
            "offsets without messages passed", partition=gap.partition, first=gap.first_offset, to=gap.next_offset
        )
