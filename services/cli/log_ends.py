"""Where the broker's log of a topic begins and ends, by its id."""

from __future__ import annotations

from confluent_kafka import Consumer, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

_TIMEOUT_SECONDS = 5.0


def read_ends(bootstrap: str, topic: str) -> dict[tuple[str, int], tuple[int, int]]:
    """(topic id, partition) → (first offset there, next offset to come). Raises KafkaException when the broker is away
    or has no such topic."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 2})
    described = admin.describe_topics(TopicCollection([topic]), request_timeout=_TIMEOUT_SECONDS)[topic].result()
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": "spendstream-audit", "enable.auto.commit": False, "log_level": 2,
    })  # fmt: skip
    try:
        return {
            (str(described.topic_id), partition.id): _watermarks(consumer, topic, partition.id)
            for partition in described.partitions
        }
    finally:
        consumer.close()


def _watermarks(consumer: Consumer, topic: str, partition: int) -> tuple[int, int]:
    low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_TIMEOUT_SECONDS)
    return int(low), int(high)
