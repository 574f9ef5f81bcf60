"""When the gateway says that it is ready."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from services.gateway.readiness import Readiness


class Pool:
    """A database that fails with `error`, or answers."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    @asynccontextmanager
    async def connection(self, _seconds: float) -> AsyncIterator[Any]:
        if isinstance(self.error, PoolTimeout):
            raise self.error
        yield self

    async def execute(self, query: str) -> None:
        if self.error is not None:
            raise self.error


class Kafka:
    ready = True

    async def is_ready(self) -> bool:
        return self.ready


def readiness(pool: Pool, kafka: Kafka) -> Readiness:
    return Readiness(kafka.is_ready, cast("AsyncConnectionPool[Any]", pool))


@pytest.mark.parametrize("error", [PoolTimeout("none"), psycopg.errors.UndefinedTable("api_key")])
async def test_a_new_gateway_waits_for_a_database_with_keys_and_an_old_one_does_without(error: Exception) -> None:
    pool, kafka = Pool(error), Kafka()
    asked = readiness(pool, kafka)
    assert (await asked.why_not()).startswith("keys can't be read")
    pool.error = None
    assert await asked.why_not() == ""
    pool.error = error
    assert await asked.why_not() == ""


async def test_without_kafka_no_gateway_is_ready() -> None:
    pool, kafka = Pool(None), Kafka()
    asked = readiness(pool, kafka)
    assert await asked.why_not() == ""
    kafka.ready = False
    assert await asked.why_not() == "Kafka is not reachable, or has no usage topic"
