"""A gateway on the real broker and database, in the test's own event loop, and what it put into Kafka."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from psycopg_pool import AsyncConnectionPool
from pydantic import SecretStr

from services.contracts.keys import Role
from services.contracts.stubs.spendstream.v1 import usage_pb2, usage_pb2_grpc
from services.contracts.topics import EVENTS_PER_MESSAGE_MAX
from services.gateway.main import Gateway, running
from services.gateway.settings import GatewaySettings
from services.runtime.embedded.backends import Backends
from services.runtime.keys import KeyStore
from tests.backends import FreshTopics

ADMIN_KEY = "sps_the-operators-own-key"

MakeKey = Callable[[Role, str | None], Awaitable[str]]


def usage_stub(channel: grpc.aio.Channel) -> Any:  # noqa: ANN401 - generated without types
    return usage_pb2_grpc.UsageServiceStub(channel)  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Stored:
    """One Kafka message of the gateway."""

    key: str
    batch: usage_pb2.UsageBatch


class UsageTopic:
    """Reads the gateway's topic from where it ended when this was made, or all of it."""

    def __init__(self, bootstrap: str, topic: str, *, from_start: bool = False) -> None:
        # A short wait: a fetch that waits for messages holds up the question where the topic ends.
        config = {"bootstrap.servers": bootstrap, "group.id": "unused", "fetch.wait.max.ms": 10}
        self._consumer = Consumer({**config, "enable.auto.commit": False})
        self._partitions = [
            TopicPartition(topic, partition) for partition in self._consumer.list_topics(topic).topics[topic].partitions
        ]
        self._next = {p.partition: 0 if from_start else self._end(p) for p in self._partitions}

    def read(self) -> list[Stored]:
        """All messages that came since the last call, by partition."""
        found: list[Stored] = []
        for partition in self._partitions:
            start, end = self._next[partition.partition], self._end(partition)
            if start < end:
                self._consumer.assign([TopicPartition(partition.topic, partition.partition, start)])
            while self._next[partition.partition] < end:
                message = self._consumer.poll(10)
                assert message is not None, "the broker holds back messages"
                key, value, offset = message.key(), message.value(), message.offset()
                assert key is not None and value is not None and offset is not None, message.error()
                batch = usage_pb2.UsageBatch.FromString(value)
                assert len(batch.events) <= EVENTS_PER_MESSAGE_MAX
                found.append(Stored(key.decode(), batch))
                self._next[partition.partition] = offset + 1
        return found

    def event_ids(self) -> list[str]:
        return [event.event_id for stored in self.read() for event in stored.batch.events]

    def close(self) -> None:
        self._consumer.close()

    def _end(self, partition: TopicPartition) -> int:
        """Where the partition ends; one that was made just now may be without its leader for a moment."""
        deadline = time.monotonic() + 10
        while True:
            try:
                end: int = self._consumer.get_watermark_offsets(partition, timeout=10)[1]
            except KafkaException as error:
                if error.args[0].code() != KafkaError.NOT_LEADER_FOR_PARTITION or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return end


@pytest.fixture
def settings(backends: Backends, database: str, kafka_topics: FreshTopics) -> GatewaySettings:
    return GatewaySettings(
        kafka_bootstrap=backends.kafka_bootstrap,
        database_dsn=SecretStr(database),
        admin_key=SecretStr(ADMIN_KEY),
        gateway_port=0,
        grpc_port=0,
        usage_topic=kafka_topics.usage_events.name,
    )


@pytest.fixture
async def gateway(settings: GatewaySettings) -> AsyncIterator[Gateway]:
    async with running(settings) as started:
        yield started


@pytest.fixture
async def http(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{gateway.http_port}", timeout=30) as client:
        yield client


@pytest.fixture
def usage_topic(settings: GatewaySettings) -> Iterator[UsageTopic]:
    topic = UsageTopic(settings.kafka_bootstrap, settings.usage_topic)
    yield topic
    topic.close()


@pytest.fixture
async def keys(database: str) -> AsyncIterator[KeyStore]:
    async with AsyncConnectionPool(database, min_size=1, max_size=2, open=False) as pool:
        yield KeyStore(pool, None)


@pytest.fixture
def make_key(keys: KeyStore) -> MakeKey:
    async def make(role: Role, tenant_id: str | None) -> str:
        return (await keys.create(role, tenant_id, "a test's")).key

    return make
