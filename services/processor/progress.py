"""Tells readers how far the stream is counted: an idle partition from a stuck one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

import psycopg
from confluent_kafka import Consumer, TopicPartition

from services.processor.kept_connection import KeptConnection
from services.processor.ledger import Stream
from services.processor.metrics import LAG, PROGRESS_AT
from services.processor.stuck import Position
from services.runtime.kafka_settings import PLAINTEXT, KafkaSecurity

_TIMEOUT_SECONDS = 5.0
# The moment is read before the log's end: all that was in the log by then is below `end`.
_REPORT = (
    "INSERT INTO partition_progress (topic_id, kafka_partition, next_offset, end_offset, seen_at) "
    "SELECT topic_id, kafka_partition, next_offset, %(end)s, %(seen_at)s FROM ledger "
    "WHERE cluster_id = %(cluster)s AND topic_id = %(topic_id)s AND kafka_partition = %(partition)s "
    "ON CONFLICT (topic_id, kafka_partition) DO UPDATE SET next_offset = EXCLUDED.next_offset, "
    "end_offset = EXCLUDED.end_offset, seen_at = EXCLUDED.seen_at RETURNING next_offset, end_offset"
)
_NEXT = "SELECT kafka_partition, next_offset FROM ledger WHERE cluster_id = %s AND topic_id = %s"


class Progress:
    """Writes `partition_progress` for the partitions this worker owns. Not thread-safe."""

    def __init__(
        self,
        dsn: str,
        bootstrap: str,
        stream: Stream,
        owned: Callable[[], Iterable[int]],
        security: KafkaSecurity = PLAINTEXT,
    ) -> None:
        self._connection = KeptConnection(dsn, "processor-progress")
        self._stream = stream
        self._owned = owned
        self._consumer = Consumer({
            **security.client_config(bootstrap), "group.id": "spendstream-progress", "enable.auto.commit": False,
        })  # fmt: skip
        self.lag_messages = 0
        # When a round last succeeded (monotonic seconds); never is minus infinity.
        self.reported_at = float("-inf")
        self._measured: frozenset[int] = frozenset()

    def report(self) -> Mapping[int, Position]:
        """One round, by partition; raises psycopg.OperationalError or KafkaException when one of the two is away."""
        with self._connection.opened() as connection:
            positions = {partition: self._report_one(connection, partition) for partition in sorted(self._owned())}
        self.lag_messages = sum(at.end_offset - at.next_offset for at in positions.values())
        # A partition that another worker has now is no longer measured here, instead of standing at its last value.
        for partition in self._measured - positions.keys():
            LAG.remove(str(partition))
        self._measured = frozenset(positions)
        self.reported_at = time.monotonic()
        PROGRESS_AT.set_to_current_time()
        return positions

    def everywhere(self) -> Mapping[int, Position]:
        """How far all partitions are, whoever owns them, for a worker that owns none: nothing is written. Raises as
        `report` does."""
        topic = self._consumer.list_topics(self._stream.topic, timeout=_TIMEOUT_SECONDS).topics[self._stream.topic]
        with self._connection.opened() as connection:
            rows = connection.execute(_NEXT, (self._stream.cluster_id, self._stream.topic_id)).fetchall()
        counted = {int(partition): int(offset) for partition, offset in rows}
        positions = {}
        for partition in topic.partitions:
            begin, end = self._consumer.get_watermark_offsets(
                TopicPartition(self._stream.topic, partition), timeout=_TIMEOUT_SECONDS
            )
            positions[partition] = Position(counted.get(partition, begin), end)
        return positions

    def _report_one(self, connection: psycopg.Connection, partition: int) -> Position:
        seen = connection.execute("SELECT clock_timestamp()").fetchone()
        _, end = self._consumer.get_watermark_offsets(
            TopicPartition(self._stream.topic, partition), timeout=_TIMEOUT_SECONDS
        )
        values = {
            "end": end,
            "seen_at": seen[0] if seen else None,
            "cluster": self._stream.cluster_id,
            "topic_id": self._stream.topic_id,
            "partition": partition,
        }
        row = connection.execute(_REPORT, values).fetchone()
        at = Position(*map(int, row)) if row else Position(end, end)
        LAG.labels(str(partition)).set(at.end_offset - at.next_offset)
        return at

    def close(self) -> None:
        self._consumer.close()
        self._connection.close()
