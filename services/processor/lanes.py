"""Flushes stored side by side: each partition's one after the other and in order, those of others at the same time.

A transaction waits for its commit, and its client for the network; another connection uses the time. Flushes that share
no partition share no row that is updated, so they are to each other what two workers are.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import TypeAlias, TypeVar

from services.processor.batch import Decoded
from services.processor.prepare import Flush
from services.processor.store import Applied, Store

T = TypeVar("T")


# Stores a flush in the lane of this number.
Storing: TypeAlias = Callable[[int], Coroutine[None, None, None]]


class Lanes:
    """One lane for each store, all under the same claims. Called from one event loop."""

    def __init__(self, stores: Sequence[Store]) -> None:
        self._stores = tuple(stores)
        # One thread each: order is the law, and psycopg connections are not shared.
        self._threads = [ThreadPoolExecutor(1, thread_name_prefix=f"store-{n}") for n in range(len(stores))]
        self._free: asyncio.Queue[int] = asyncio.Queue()
        for lane in range(len(stores)):
            self._free.put_nowait(lane)
        # In the order they were handed over: flushes that are stored, or wait for it, each with its task.
        self._under_way: dict[int, tuple[Decoded, asyncio.Task[None]]] = {}
        self._handed = 0
        self._lane_of: dict[int, int] = {}

    def lane_of(self, partition: int) -> int:
        """Where a partition goes when there is much to do; 0 for one that isn't claimed."""
        return self._lane_of.get(partition, 0)

    @property
    def wary(self) -> bool:
        """Whether duplicates are to be expected; may be asked from any thread."""
        return any(store.wary for store in self._stores)

    async def claim(self, partitions: Iterable[int]) -> Mapping[int, int]:
        """Takes exactly these partitions over in the ledger; where to read on. Waits for what the lanes are storing.

        Raises as `Store.claim`.
        """
        wanted, together = sorted(partitions), threading.Barrier(len(self._stores))
        lanes = range(len(self._stores))
        claiming = (self._in_thread(lane, partial(self._claim, lane, wanted, together)) for lane in lanes)
        first, *_ = await asyncio.gather(*claiming)
        self._lane_of = {partition: rank % len(self._stores) for rank, partition in enumerate(wanted)}
        return first

    async def first(self, work: Callable[[Store], T]) -> T:
        """Runs `work` with the first lane's store, after what it is storing."""
        return await self._in_thread(0, lambda: work(self._stores[0]))

    async def room(self, *, beside_others: bool) -> None:
        """Waits until one more flush may be handed over. Raises what a flush failed with.

        `beside_others`: one may wait while all lanes are storing, so that a lane that is done goes on at once. Else
        none is under way by then: what is little had better wait and become more, as each flush has its price.
        """
        while len(self._under_way) > (len(self._stores) if beside_others else 0) or self.failed():
            tasks = [task for _, task in self._under_way.values()]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()

    def hand(self, decoded: Decoded, storing: Storing) -> None:
        """Has this stored once all handed over before that share a partition with it are, and a lane is free."""
        before = [task for other, task in self._under_way.values() if other.spans.keys() & decoded.spans.keys()]
        self._handed += 1
        self._under_way[self._handed] = (decoded, asyncio.create_task(self._run(self._handed, before, storing)))

    async def _run(self, number: int, before: Sequence[asyncio.Task[None]], storing: Storing) -> None:
        for task in before:
            await task
        lane = await self._free.get()
        await storing(lane)
        # What failed stays, for all to see.
        self._free.put_nowait(lane)
        del self._under_way[number]

    async def apply(self, lane: int, flush: Flush) -> Applied:
        """`Store.apply` in the lane's thread."""
        return await self._in_thread(lane, lambda: self._stores[lane].apply(flush))

    def under_way(self) -> list[Decoded]:
        """What is being stored or waits for it; may be asked from any thread."""
        return [decoded for decoded, _ in tuple(self._under_way.values())]

    async def drain(self) -> None:
        """Waits for all that is under way. Raises what a flush failed with."""
        await asyncio.gather(*(task for _, task in self._under_way.values()))

    def failed(self) -> BaseException | None:
        """What a flush failed with, as soon as it has: a quiet stream would not await it."""
        ended = (task for _, task in self._under_way.values() if task.done() and not task.cancelled())
        return next((error for error in (task.exception() for task in ended) if error is not None), None)

    def _claim(self, lane: int, partitions: Sequence[int], together: threading.Barrier) -> dict[int, int]:
        """In each lane's thread at once: the first takes over while none is storing, then all hold what it got."""
        try:
            together.wait()
            offsets = self._stores[0].claim(partitions) if lane == 0 else {}
            together.wait()
        except BaseException:
            together.abort()
            raise
        if lane:
            self._stores[lane].follow(self._stores[0])
        return offsets

    async def _in_thread(self, lane: int, work: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads[lane], copy_context().run, work)
