"""How takes of small messages become one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import pytest

from services.processor.gathering import gathered

TAKE_MAX = 3
LONG, SHORT = 60.0, 0.01


def enough(found: Sequence[int]) -> bool:
    return len(found) >= 9


async def takes_of(*sizes: int, error: Exception | None = None, silence: bool = False) -> AsyncIterator[list[int]]:
    """Takes of numbers counted up; then the end, an error, or nothing for good."""
    first = 0
    for size in sizes:
        yield list(range(first, first + size))
        first += size
    if error is not None:
        raise error
    if silence:
        await asyncio.Event().wait()


async def collect(takes: AsyncIterator[list[int]], linger: float = LONG) -> list[int]:
    """The sizes of what comes, all numbers in order."""
    found = [batch async for batch in gathered(takes, TAKE_MAX, enough, linger)]
    assert [number for batch in found for number in batch] == list(range(sum(map(len, found))))
    return [len(batch) for batch in found]


async def test_a_take_that_is_not_full_goes_at_once() -> None:
    assert await collect(takes_of(1, 2, 1)) == [1, 2, 1]


async def test_full_takes_wait_for_each_other_until_there_is_no_more_or_they_are_enough() -> None:
    assert await collect(takes_of(3, 3, 1, 2)) == [7, 2]
    assert await collect(takes_of(3, 3, 3, 3, 1)) == [9, 4]


async def test_full_takes_go_when_nothing_comes_after_them() -> None:
    async with aclosing(gathered(takes_of(3, 3, silence=True), TAKE_MAX, enough, SHORT)) as batches:
        assert await asyncio.wait_for(anext(batches), 5) == [0, 1, 2, 3, 4, 5]


async def test_what_comes_after_a_silence_is_not_lost() -> None:
    later = asyncio.Event()

    async def takes() -> AsyncIterator[list[int]]:
        yield [0, 1, 2]
        await later.wait()
        yield [3]

    async with aclosing(gathered(takes(), TAKE_MAX, enough, SHORT)) as batches:
        assert await anext(batches) == [0, 1, 2]
        later.set()
        assert await anext(batches) == [3]


async def test_the_end_and_an_error_come_after_what_came_before_them() -> None:
    assert await collect(takes_of(3)) == [3]
    broken = takes_of(3, 3, error=ValueError("broken"))
    async with aclosing(gathered(broken, TAKE_MAX, enough, LONG)) as batches:
        assert await anext(batches) == [0, 1, 2, 3, 4, 5]
        with pytest.raises(ValueError, match="broken"):
            await anext(batches)


async def test_whoever_stops_stops_what_is_taken_from() -> None:
    ended = asyncio.Event()

    async def takes() -> AsyncIterator[list[int]]:
        try:
            yield [0]
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with aclosing(gathered(takes(), TAKE_MAX, enough, LONG)) as batches:
        assert await anext(batches) == [0]
        waiting = asyncio.ensure_future(anext(batches))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    await asyncio.wait_for(ended.wait(), 5)
