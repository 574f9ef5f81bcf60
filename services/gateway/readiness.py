"""When the gateway can do its work: Kafka has the topic, and keys can be told apart."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

_DATABASE_SECONDS = 2.0


class Readiness:
    """Keys have to be readable once. After that a database that is away closes no door: known keys work on for a while,
    and a gateway that is taken out of service for it would only turn everybody away."""

    def __init__(self, kafka_is_ready: Callable[[], Awaitable[bool]], pool: AsyncConnectionPool[Any]) -> None:
        self._kafka_is_ready = kafka_is_ready
        self._pool = pool
        self._keys_were_readable = False

    async def why_not(self) -> str:
        """Why the gateway is not ready, "" when it is."""
        if not await self._kafka_is_ready():
            return "Kafka is not reachable, or has no usage topic"
        if not self._keys_were_readable:
            self._keys_were_readable = await self._keys_are_readable()
        return "" if self._keys_were_readable else "keys can't be read: the database is away or has no schema"

    async def _keys_are_readable(self) -> bool:
        try:
            async with asyncio.timeout(_DATABASE_SECONDS), self._pool.connection(_DATABASE_SECONDS) as connection:
                await connection.execute("SELECT FROM api_key LIMIT 1")
        except (psycopg.Error, PoolTimeout, TimeoutError):
            return False
        return True
