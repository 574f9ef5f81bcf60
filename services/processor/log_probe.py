"""Reads the log directly, beside the stream: is there really nothing at these offsets?"""

from __future__ import annotations

import time

from confluent_kafka import Consumer, KafkaError, TopicPartition

from services.contracts.errors import Crash, Retry
from services.runtime.kafka_settings import PLAINTEXT, KafkaSecurity

_TIMEOUT_SECONDS = 10.0


class LogProbe:
    """A fresh consumer for each question, so that nothing is remembered from the reader that is doubted."""

    def __init__(self, bootstrap: str, topic: str, security: KafkaSecurity = PLAINTEXT) -> None:
        self._client = security.client_config(bootstrap)
        self._topic = topic

    def first_readable(self, partition: int, offset: int) -> int:
        """The first offset at or after `offset` with a message, or the log's end when there is none.

        Crashes when the log begins after `offset`: what was there is deleted, and nobody knows what it was. Raises
        Retry while the broker gives no answer.
        """
        consumer = Consumer({
            **self._client, "group.id": "spendstream-probe", "enable.auto.commit": False,
            "enable.partition.eof": True, "auto.offset.reset": "error",
            # As the worker reads: what it sees is what counts.
            "isolation.level": "read_uncommitted",
        })  # fmt: skip
        try:
            begin, _ = consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=_TIMEOUT_SECONDS)
            if offset < begin:
                raise Crash(
                    f"{begin - offset} messages of partition {partition} were deleted before they were counted; "
                    "an operator must adopt it: spendstream adopt"
                )
            return self._read(consumer, partition, offset)
        finally:
            consumer.close()

    def _read(self, consumer: Consumer, partition: int, offset: int) -> int:
        consumer.assign([TopicPartition(self._topic, partition, offset)])
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            message = consumer.poll(0.5)
            if message is None:
                continue
            error = message.error()
            if error is None or error.code() == KafkaError._PARTITION_EOF:
                found = message.offset()
                return offset if found is None else found
        raise Retry(f"partition {partition} can't be read at {offset}")
