"""What both doors do with a request: who is it, read it, hand it to Kafka, count it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from services.contracts.keys import Principal
from services.gateway import metrics
from services.gateway.coalescing import Coalescer
from services.gateway.intake import Intake
from services.runtime.keys import KeyStore

_IN_LOOP_BYTES_MAX = 32 * 1024


class Unauthenticated(Exception):
    """No key, or one that nobody has."""


class Forbidden(Exception):
    """A key that may not send events."""


class Ingest:
    """Shared by the doors; owns the thread that reads large requests."""

    def __init__(self, keys: KeyStore, coalescer: Coalescer) -> None:
        self._keys = keys
        self._coalescer = coalescer
        # One thread: reading is bound by the interpreter anyway, and one request read at a time bounds memory.
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="intake")

    async def authenticate(self, authorization: str | None) -> Principal:
        """The sender by the value of its `Authorization`; raises Unauthenticated, Forbidden, errors.Retry."""
        scheme, _, key = (authorization or "").strip().partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise Unauthenticated("send `Authorization: Bearer KEY`")
        principal = await self._keys.authenticate(key.strip())
        if principal is None:
            raise Unauthenticated("this key is not known, or was revoked")
        if principal.role == "viewer":
            raise Forbidden("a viewer's key can't send events")
        return principal

    async def read(self, size_bytes: int, intake: Callable[[], Intake]) -> Intake:
        """Runs `intake`; a large one beside the event loop, so that others are answered meanwhile."""
        if size_bytes <= _IN_LOOP_BYTES_MAX:
            return intake()
        return await asyncio.get_running_loop().run_in_executor(self._reader, intake)

    async def publish(self, door: str, intake: Intake) -> None:
        """Returns once Kafka has all that was admitted; raises errors.Retry."""
        started = time.perf_counter()
        if intake.admitted:
            await self._coalescer.publish(door, intake.admitted, intake.admitted_bytes)
        metrics.PUBLISH_SECONDS.labels(door).observe(time.perf_counter() - started)
        metrics.EVENTS_ACCEPTED.labels(door).inc(intake.admitted_count)
        metrics.EVENTS_REJECTED.labels(door).inc(len(intake.rejected))

    def close(self) -> None:
        self._reader.shutdown(wait=False)
