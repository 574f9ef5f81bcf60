"""One worker: Faust hands messages in, a thread prepares a flush while others commit those before."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

import structlog

from pricing.entries import PriceBook
from services.contracts.errors import Crash, Reason, Retry
from services.contracts.topics import ADMITTED_HEADER
from services.processor import metrics
from services.processor.batch import Decoded, Message
from services.processor.dead_limit import DeadLimit
from services.processor.lanes import Lanes
from services.processor.prepare import Flush, TenantNumbers, prepare
from services.processor.screen import Screen
from services.processor.sequence import in_lanes, in_order, in_pieces, in_turn, is_much
from services.processor.store import Applied
from services.processor.unpacking import CutValue
from services.processor.watch import Watch

log = structlog.get_logger()
_RETRY_SECONDS_MAX = 10.0


@dataclass(frozen=True, slots=True)
class FlushSizes:
    """How messages become flushes, in bytes of their values: none has more than about `bytes_max`; what is less than
    `lanes_bytes_min` together is one."""

    bytes_max: int
    lanes_bytes_min: int


class Acknowledging(Protocol):
    """A Faust stream, as far as it is needed here."""

    async def ack(self, event: Any) -> bool: ...  # noqa: ANN401


@dataclass(slots=True)
class _Taken:
    """Events of one take, acknowledged when the last of its flushes is committed: what the group knows is for show."""

    events: Sequence[Any]
    left: int


class Worker:
    """One flush is prepared beside those under way, never further ahead. All errors surface from `take`."""

    def __init__(
        self,
        lanes: Lanes,
        book: Callable[[], PriceBook],
        tenant_numbers: TenantNumbers,
        screen: Screen,
        watch: Watch,
        sizes: FlushSizes,
    ) -> None:
        self._lanes = lanes
        self._sizes = sizes
        self._screen = screen
        self._book = book
        self._tenant_numbers = tenant_numbers
        self._watch = watch
        self._limit = DeadLimit()
        self._preparing = ThreadPoolExecutor(1, thread_name_prefix="prepare")
        self.owned: frozenset[int] = frozenset()

    async def claim(self, partitions: set[int]) -> Mapping[int, int]:
        """Takes partitions over in the ledger; where to read on. Waits for the flushes under way."""
        offsets = await self._lanes.claim(partitions)
        self._limit.allowance_events = await self._lanes.first(lambda store: store.dead_allowance())
        self.owned = frozenset(partitions)
        self._watch.assigned()
        log.info("partitions claimed", offsets=dict(sorted(offsets.items())))
        return offsets

    def is_much(self, events: Sequence[Any]) -> bool:
        """Whether these are so much that they are stored in several flushes at a time."""
        return is_much((event.message.value or b"" for event in events), self._sizes.lanes_bytes_min)

    async def take(self, stream: Acknowledging, events: Sequence[Any]) -> None:
        """Prepares these events as one or more flushes; returns when the last of them is handed to the lanes."""
        messages = in_order([_message(event) for event in events])
        lanes = in_lanes(messages, self._lanes.lane_of, self._sizes.lanes_bytes_min)
        pieces = in_turn(in_pieces(lane, self._sizes.bytes_max) for lane in lanes)
        taken = _Taken(events, len(pieces))
        for piece in pieces:
            structlog.contextvars.bind_contextvars(batch=batch_id(piece))
            flush = await self._prepared(piece)
            await self._lanes.room(beside_others=len(pieces) > 1)
            self._lanes.hand(flush.decoded, partial(self._store_and_ack, stream, taken, flush))

    async def drain(self) -> None:
        """Waits for the flushes under way, if any."""
        await self._lanes.drain()

    def failed(self) -> BaseException | None:
        """What a flush under way failed with, as soon as it has."""
        return self._lanes.failed()

    async def _prepared(self, messages: Sequence[Message]) -> Flush:
        loop = asyncio.get_running_loop()
        started = time.perf_counter()
        flush: Flush = await _until_there(
            lambda: loop.run_in_executor(
                self._preparing,
                copy_context().run,
                prepare,
                messages,
                self._book(),
                self._tenant_numbers,
                self._left_out,
            )
        )
        metrics.FLUSH_SECONDS.labels("prepare").observe(time.perf_counter() - started)
        reason = self._limit.note(*_events_and_bad(flush))
        if reason:
            # Written down before anything is buried: a successor must not bury the next thousands either.
            await self._lanes.first(lambda store: store.halt(reason))
            raise Crash(reason)
        return flush

    def _left_out(self, decoded: Decoded) -> bool:
        return self._screen.leave_out(decoded, self._tenant_numbers, self._lanes.under_way())

    async def _store_and_ack(self, stream: Acknowledging, taken: _Taken, flush: Flush, lane: int) -> None:
        started = time.perf_counter()
        applied: Applied = await _until_there(lambda: self._lanes.apply(lane, flush))
        metrics.FLUSH_SECONDS.labels("store").observe(time.perf_counter() - started)
        _count(applied, flush)
        log.debug(
            "flush stored", counted=applied.counted, duplicate=applied.duplicate, dead=applied.dead,
            quarantined=applied.quarantined,
        )  # fmt: skip
        through = max((span.through_us for span in flush.decoded.spans.values()), default=0)
        self._watch.touch(flush.touched, datetime.fromtimestamp(through / 1e6, UTC))
        taken.left -= 1
        if not taken.left:
            for event in taken.events:
                await stream.ack(event)


def batch_id(messages: Sequence[Message]) -> str:
    """What a flush is called in logs: first and last offset by partition, `0:120-140,3:7-7`. On each line about it."""
    spans: dict[int, tuple[int, int]] = {}
    for message in messages:
        first, last = spans.get(message.partition, (message.offset, message.offset))
        spans[message.partition] = (min(first, message.offset), max(last, message.offset))
    return ",".join(f"{partition}:{first}-{last}" for partition, (first, last) in sorted(spans.items()))


async def _until_there(attempt: Any) -> Any:  # noqa: ANN401
    """Tries in place while something outside is away; nothing is acked meanwhile."""
    wait = 0.1
    while True:
        try:
            return await attempt()
        except Retry as error:
            log.warning("will try again", error=str(error), wait_seconds=wait)
            await asyncio.sleep(wait)
            wait = min(wait * 2, _RETRY_SECONDS_MAX)


def _message(event: Any) -> Message:  # noqa: ANN401
    message = event.message
    admitted = bool(message.headers) and ADMITTED_HEADER in dict(message.headers)
    received_us = round(message.timestamp * 1_000_000)
    cut_from = message.value.size_bytes if isinstance(message.value, CutValue) else 0
    return Message(message.partition, message.offset, received_us, message.value or b"", admitted, cut_from)


def _events_and_bad(flush: Flush) -> tuple[int, int]:
    decoded = flush.decoded
    bad = sum(event.reason != Reason.CONFLICT for event in decoded.dead)
    return flush.count + len(decoded.dead) + len(decoded.quarantined) + len(decoded.repeats), bad


def _count(applied: Applied, flush: Flush) -> None:
    metrics.FLUSH_EVENTS.observe(applied.counted)
    for outcome in ("counted", "duplicate", "dead", "quarantined"):
        metrics.EVENTS.labels(outcome).inc(getattr(applied, outcome))
    for event in flush.decoded.dead:
        metrics.DEAD.labels(event.reason).inc()
