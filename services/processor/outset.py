"""Before a worker begins: is the stream halted, is the log the one the ledger follows? If not it waits and says why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import psycopg
import structlog
from confluent_kafka import Consumer, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from services.contracts.errors import Crash
from services.processor import ledger
from services.processor.halts import halted
from services.processor.ledger import Stream
from services.processor.metrics import HALTED
from services.runtime.kafka_settings import PLAINTEXT, KafkaSecurity

log = structlog.get_logger()
_LOOK_SECONDS = 1.0
_TIMEOUT_SECONDS = 10.0

# Partition → (first offset, end).
Bounds = Mapping[int, tuple[int, int]]


class Broker:
    """Asks the broker what the topic is and how far its log goes. Raises KafkaException when it is away."""

    def __init__(self, bootstrap: str, topic: str, security: KafkaSecurity = PLAINTEXT) -> None:
        self._topic = topic
        self._admin = AdminClient(security.client_config(bootstrap))
        self._config = security.client_config(bootstrap) | {"group.id": "spendstream-outset"}

    def stream(self) -> Stream:
        """The ids of cluster and topic; KafkaException also where there is no such topic."""
        topics = self._admin.describe_topics(TopicCollection([self._topic]), request_timeout=_TIMEOUT_SECONDS)
        described = topics[self._topic].result()
        cluster = self._admin.describe_cluster(request_timeout=_TIMEOUT_SECONDS).result()
        return Stream(str(cluster.cluster_id), str(described.topic_id), self._topic)

    def bounds(self, partitions: list[int]) -> Bounds:
        consumer = Consumer(self._config)
        try:
            return {
                each: consumer.get_watermark_offsets(TopicPartition(self._topic, each), timeout=_TIMEOUT_SECONDS)
                for each in partitions
            }
        finally:
            consumer.close()


class TopicGuard:
    """Ends the process when the topic was deleted and made again under it: its offsets mean something else now."""

    def __init__(self, broker: Broker, stream: Stream) -> None:
        self._broker = broker
        self._stream = stream

    def look(self) -> None:
        """Raises Crash, or KafkaException while nobody can tell."""
        now = self._broker.stream()
        if now != self._stream:
            raise Crash(f"topic {now.topic} was made again: it was {self._stream.topic_id} and is {now.topic_id}")


async def wait_until_fit(
    dsn: str, broker: Broker, stopping: asyncio.Event, say: Callable[[str], None]
) -> Stream | None:
    """The stream, once it is neither halted nor another than the ledger's; None when `stopping` is set before.

    `say` is told why this waits. Raises KafkaException when the broker is away at the first look.
    """
    said = ""
    while not stopping.is_set():
        stream = await asyncio.to_thread(broker.stream)
        reason = await asyncio.to_thread(_why_to_wait, dsn, broker, stream)
        HALTED.set(reason.startswith("halted"))
        if not reason:
            return stream
        if reason != said:
            log.critical("not processing", reason=reason)
            said = reason
        say(reason)
        try:
            await asyncio.wait_for(stopping.wait(), _LOOK_SECONDS)
        except TimeoutError:
            continue
    return None


def _why_to_wait(dsn: str, broker: Broker, stream: Stream) -> str:
    try:
        with psycopg.connect(dsn, autocommit=True, application_name="processor-outset") as connection:
            reason = halted(connection, stream) or ledger.foreign_topic(connection, stream)
            # In this order: what is counted meanwhile by others can only be within what the log has afterwards.
            offsets = ledger.next_offsets(connection, stream)
        bounds = broker.bounds(sorted(offsets)) if offsets and not reason else {}
    except psycopg.OperationalError as error:
        return f"the database is away: {str(error).splitlines()[0]}"
    except KafkaException as error:
        return f"the broker is away: {error.args[0].str()}"
    reason = reason or ledger.outside_log(offsets, bounds)
    return f"halted: {reason}" if reason else ""
