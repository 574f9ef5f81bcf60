"""Halts: a worker that stopped because nearly all was bad says so in the database, and none reads on until resumed."""

from __future__ import annotations

import psycopg

from services.processor.ledger import Stream

_OPEN = (
    "SELECT reason FROM ledger_halt WHERE cluster_id = %s AND topic_id = %s AND resumed_at IS NULL "
    "ORDER BY halt_id DESC LIMIT 1"
)
_ALLOWANCE = (
    "SELECT coalesce((SELECT max(bury_through) FROM ledger_halt WHERE cluster_id = %(cluster)s AND "
    "topic_id = %(topic_id)s), 0) - coalesce((SELECT sum(dead_lettered) FROM ledger WHERE cluster_id = %(cluster)s AND "
    "topic_id = %(topic_id)s), 0)"
)


def halt(connection: psycopg.Connection, stream: Stream, reason: str) -> None:
    """Stops the stream for every worker, at the next claim at the latest."""
    connection.execute(
        "INSERT INTO ledger_halt (cluster_id, topic_id, reason) VALUES (%s, %s, %s)",
        (stream.cluster_id, stream.topic_id, reason),
    )


def halted(connection: psycopg.Connection, stream: Stream) -> str:
    """Why the stream is stopped, or "" when it is not."""
    row = connection.execute(_OPEN, (stream.cluster_id, stream.topic_id)).fetchone()
    return str(row[0]) if row else ""


def allowance_events(connection: psycopg.Connection, stream: Stream) -> int:
    """How many more dead events an operator has said to bury when resuming."""
    row = connection.execute(_ALLOWANCE, {"cluster": stream.cluster_id, "topic_id": stream.topic_id}).fetchone()
    return max(0, int(row[0])) if row else 0
