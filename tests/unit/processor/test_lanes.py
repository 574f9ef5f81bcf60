"""Flushes side by side: what may be stored at the same time and what may not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from typing import cast

import pytest

from services.processor.batch import Decoded, Span
from services.processor.lanes import Lanes
from services.processor.prepare import Flush
from services.processor.store import Applied, Store


class StoreOfHand:
    """Stores when the test says so. `storing` is the partitions of the flush in hand."""

    def __init__(self) -> None:
        self.storing: frozenset[int] = frozenset()
        self.stored: list[set[int]] = []
        self.go_on = threading.Event()
        self.fails = self.refuses = False
        self.wary = False
        self.claimed: list[int] = []
        self.followed: StoreOfHand | None = None
        self.claimed_beside: list[frozenset[int]] = []
        self.others: list[StoreOfHand] = []

    def claim(self, partitions: Iterable[int]) -> dict[int, int]:
        if self.refuses:
            raise ValueError("refused")
        self.claimed = list(partitions)
        self.claimed_beside = [other.storing for other in self.others]
        return dict.fromkeys(self.claimed, 7)

    def follow(self, other: StoreOfHand) -> None:
        self.followed = other

    def apply(self, flush: Flush) -> Applied:
        self.storing = frozenset(flush.decoded.spans)
        assert self.go_on.wait(5)
        self.storing = frozenset()
        if self.fails:
            raise ValueError("it failed")
        self.stored.append(set(flush.decoded.spans))
        return Applied(1)


def flush(*partitions: int) -> Flush:
    spans = {partition: Span(0, 1, 0) for partition in partitions}
    return Flush(Decoded(None, [], [], [], [], spans, frozenset(), {}))


def two() -> tuple[Lanes, StoreOfHand, StoreOfHand]:
    one, other = StoreOfHand(), StoreOfHand()
    one.others = [other]
    return Lanes([cast("Store", one), cast("Store", other)]), one, other


async def begin(lanes: Lanes, flush: Flush) -> None:
    """Hands it over once there is room."""

    async def store(lane: int) -> None:
        await lanes.apply(lane, flush)

    await lanes.room(beside_others=True)
    lanes.hand(flush.decoded, store)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(5_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise TimeoutError


async def until_storing(store: StoreOfHand, *partitions: int) -> None:
    await until(lambda: store.storing == set(partitions))


async def test_different_partitions_are_stored_at_the_same_time() -> None:
    lanes, one, other = two()
    await begin(lanes, flush(0, 2))
    await begin(lanes, flush(1))
    await until_storing(one, 0, 2)
    await until_storing(other, 1)
    assert len(lanes.under_way()) == 2
    one.go_on.set()
    other.go_on.set()
    await lanes.drain()
    assert lanes.under_way() == []


async def test_a_partition_is_never_in_two_lanes_and_another_one_passes_what_waits_for_it() -> None:
    lanes, one, other = two()
    await begin(lanes, flush(0, 1))
    await until_storing(one, 0, 1)
    await begin(lanes, flush(1, 3))
    await asyncio.sleep(0.05)
    assert not other.storing, "the other lane is free, but this partition's flush before is not committed"
    await begin(lanes, flush(5))
    await until_storing(other, 5)
    one.go_on.set()
    await until_storing(one)
    await until(lambda: one.stored == [{0, 1}, {1, 3}])
    other.go_on.set()
    await lanes.drain()


async def test_one_flush_may_wait_and_a_second_has_to_wait_for_room() -> None:
    lanes, one, other = two()
    for partition in (0, 1, 2):
        await begin(lanes, flush(partition))
    await until_storing(other, 1)
    waiting = asyncio.create_task(begin(lanes, flush(3)))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    other.go_on.set()
    await waiting
    await until(lambda: other.stored == [{1}, {2}, {3}])
    one.go_on.set()
    await lanes.drain()


async def test_what_is_little_waits_until_nothing_is_under_way() -> None:
    lanes, one, _ = two()
    await begin(lanes, flush(0))
    waiting = asyncio.create_task(lanes.room(beside_others=False))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    one.go_on.set()
    await waiting
    assert lanes.under_way() == []


async def test_a_failure_is_told_at_once_and_to_whoever_comes_next() -> None:
    lanes, one, _ = two()
    one.fails = True
    await begin(lanes, flush(0))
    await begin(lanes, flush(0, 1))
    assert lanes.failed() is None
    one.go_on.set()
    await until(lambda: lanes.failed() is not None)
    with pytest.raises(ValueError, match="it failed"):
        await lanes.room(beside_others=True)
    with pytest.raises(ValueError, match="it failed"):
        await lanes.drain()
    assert one.stored == [], "what came after it in its partition is not stored"


async def test_partitions_change_hands_while_nothing_is_stored_and_all_lanes_hold_the_new_claim() -> None:
    lanes, one, other = two()
    await begin(lanes, flush(0))
    await begin(lanes, flush(1))
    await until_storing(other, 1)
    claiming = asyncio.create_task(lanes.claim({5, 3, 8}))
    one.go_on.set()
    await until(lambda: one.stored == [{0}])
    await asyncio.sleep(0.05)
    assert not claiming.done()
    assert not one.claimed
    other.go_on.set()
    assert await claiming == {3: 7, 5: 7, 8: 7}
    assert one.claimed_beside == [frozenset()]
    assert other.followed is one
    assert [lanes.lane_of(partition) for partition in (3, 5, 8)] == [0, 1, 0]


async def test_a_claim_that_fails_leaves_no_lane_waiting() -> None:
    lanes, one, other = two()
    one.refuses = True
    with pytest.raises(ValueError, match="refused"):
        await lanes.claim({0})
    other.go_on.set()
    async with asyncio.timeout(5):
        assert (await lanes.apply(1, flush(1))).counted == 1
