"""What both doors do with a request: who is it, read it, hand it to Kafka, count it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from services.contracts.keys import Principal
from services.gateway import metrics
from services.gateway.coalescing import Coalescer
from services.gateway.intake import Intake
from services.runtime.keys import KeyStore
from services.runtime.rates import RateLimit, TooFast, network_of

_IN_LOOP_BYTES_MAX = 32 * 1024


class Unauthenticated(Exception):
    """No key, or one that nobody has."""


class Forbidden(Exception):
    """A key that may not send events."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of each key: requests and events; of each client's network: keys that nobody has."""

    requests: RateLimit
    events: RateLimit
    unknown_keys: RateLimit


class Ingest:
    """Shared by the doors; owns the thread that reads large requests. `clock` is monotonic seconds."""

    def __init__(
        self, keys: KeyStore, coalescer: Coalescer, limits: Limits, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._keys = keys
        self._coalescer = coalescer
        self._limits = limits
        self._clock = clock
        # One thread: reading is bound by the interpreter anyway, and one request read at a time bounds memory.
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="intake")

    async def authenticate(self, authorization: str | None, address: str) -> Principal:
        """The sender by the value of its `Authorization`, whose request this is one of.

        Raises Unauthenticated, Forbidden, TooFast, errors.Retry.
        """
        scheme, _, key = (authorization or "").strip().partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key:
            raise Unauthenticated("send `Authorization: Bearer KEY`")
        principal = await self._whose(key, network_of(address))
        if principal.role == "viewer":
            raise Forbidden("a viewer's key can't send events")
        self._count_request(principal)
        return principal

    async def _whose(self, key: str, network: str) -> Principal:
        limit = self._limits.unknown_keys
        wait = limit.wait_seconds(network, self._clock())
        if wait and not self._keys.is_known(key):
            raise TooFast("too many keys that nobody has came from this address", wait)
        principal = await self._keys.authenticate(key)
        if principal is None:
            limit.take(network, 1, self._clock())
            raise Unauthenticated("this key is not known, or was revoked")
        return principal

    def _count_request(self, principal: Principal) -> None:
        now = self._clock()
        limits = ((self._limits.requests, "requests"), (self._limits.events, "events"))
        for limit, what in limits:
            wait = limit.wait_seconds(principal.key_id, now)
            if wait:
                raise TooFast(f"this key sends more than {limit.per_second:g} {what} a second", wait)
        self._limits.requests.take(principal.key_id, 1, now)

    async def read(self, principal: Principal, size_bytes: int, intake: Callable[[], Intake]) -> Intake:
        """Runs `intake`; a large one beside the event loop, so that others are answered meanwhile."""
        if size_bytes <= _IN_LOOP_BYTES_MAX:
            found = intake()
        else:
            found = await asyncio.get_running_loop().run_in_executor(self._reader, intake)
        self._limits.events.take(principal.key_id, found.event_count, self._clock())
        return found

    async def pause(self, principal: Principal) -> None:
        """Waits until the key may send again: how a stream is slowed down, which has no next request to refuse."""
        wait = self._limits.events.wait_seconds(principal.key_id, self._clock())
        if wait:
            await asyncio.sleep(wait)

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
