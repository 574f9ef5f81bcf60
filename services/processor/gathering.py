"""Small messages put together, where more of them are waiting than one take holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


async def gathered(
    takes: AsyncIterator[Sequence[T]], take_max: int, enough: Callable[[Sequence[T]], bool], linger_seconds: float
) -> AsyncGenerator[list[T], None]:
    """What was taken, at once where that was less than `take_max`: then there is no more. A full take waits for those
    after it, until all together are `enough` or none came for `linger_seconds`.

    Ends with `takes`; what that raises is raised here, after what came before it.
    """
    waiting: list[T] = []
    coming: asyncio.Future[Sequence[T]] | None = None
    try:
        while True:
            # Not before it is wanted: while what was taken is worked off, more comes together.
            coming = coming or asyncio.ensure_future(anext(takes))
            await asyncio.wait((coming,), timeout=linger_seconds if waiting else None)
            error = coming.exception() if coming.done() else None
            if coming.done() and error is None:
                take, coming = coming.result(), None
                waiting += take
                if len(take) >= take_max and not enough(waiting):
                    continue
            if waiting:
                yield waiting
                waiting = []
            if isinstance(error, StopAsyncIteration):
                return
            if error is not None:
                raise error
    finally:
        if coming is not None:
            coming.cancel()
