"""Creates the topics; auto-creation is off, so that a typo in a name is an error and not a topic."""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from services.contracts.topics import TOPICS, Topic
from services.runtime.kafka_settings import PLAINTEXT, KafkaSecurity

_TIMEOUT_SECONDS = 30


def ensure_topics(
    bootstrap: str, topics: Iterable[Topic] = TOPICS, replication: int = 1, security: KafkaSecurity = PLAINTEXT
) -> None:
    """Creates what is missing and leaves what is there; raises KafkaException when the broker refuses."""
    admin = AdminClient(security.client_config(bootstrap) | {"log_level": 4})
    wanted = [NewTopic(t.name, t.partitions, replication, config=t.config()) for t in topics]
    for future in admin.create_topics(wanted, operation_timeout=_TIMEOUT_SECONDS).values():
        try:
            future.result(_TIMEOUT_SECONDS)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
