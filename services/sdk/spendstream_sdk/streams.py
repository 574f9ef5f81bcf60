"""Streams of vendors' libraries, passed on chunk by chunk as they are; when one ends, its call is recorded.

Whatever goes wrong in the counting is logged and never reaches who reads the stream.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from spendstream_sdk.gathering import Gathered
from spendstream_sdk.responses import Reported, look

log = logging.getLogger("spendstream_sdk")
T = TypeVar("T")
Finish = Callable[[Reported, dict[str, Any]], None]
"""Records the call, with what the stream alone can know: status, latency, estimated tokens."""


class Ending:
    """Of one stream: gathers its usage and records it once, however it ends."""

    __slots__ = ("_done", "_finish", "_gathered", "_started")

    def __init__(self, finish: Finish) -> None:
        self._finish, self._gathered, self._started, self._done = finish, Gathered(), time.monotonic(), False

    def note(self, chunk: object) -> None:
        try:
            self._gathered.add(chunk)
        except Exception:
            log.exception("spendstream: a chunk can't be read")

    def exhausted(self) -> None:
        self._gathered.read_to_the_end()
        self.ended("ok")

    def failed(self, error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError | GeneratorExit | KeyboardInterrupt):
            self.ended("cancelled")
        elif isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
            self.ended("timeout", error_type=type(error).__name__)
        else:
            self.ended("error", error_type=type(error).__name__)

    def closed(self, stream: object) -> None:
        """Nobody reads on: left early, unless a helper of the vendor's has read it to its end by itself."""
        if not self._done:
            self._look_into(stream)
            self.ended("ok" if self._gathered.complete else "cancelled")

    def ended(self, status: str, **more: str) -> None:
        if self._done:
            return
        self._done = True
        try:
            gathered = self._gathered
            extra: dict[str, Any] = {**more, "status": status, "streaming": True}
            extra["latency_ms"] = round((time.monotonic() - self._started) * 1_000)
            if not gathered.complete:
                extra |= {"tokens_estimated": True, "completion_tokens": gathered.estimated_output_tokens}
            self._finish(gathered.reported(), extra)
        except Exception:
            log.exception("spendstream: a stream can't be recorded")

    def _look_into(self, stream: object) -> None:
        """Anthropic's helper keeps the message so far, also where only its `text_stream` was read."""
        try:
            message = None if self._gathered.complete else getattr(stream, "current_message_snapshot", None)
        except Exception:
            return  # it was closed before it had begun
        if message is not None and look(message, "stop_reason") is not None:
            self._gathered.add_final(message)


class MeteredStream(Generic[T]):
    """Stands for the vendor's stream: iterate it, or use it in a `with`; other attributes are the stream's own."""

    def __init__(self, stream: Any, ending: Ending) -> None:  # noqa: ANN401 - any vendor's
        self._stream, self._ending = stream, ending
        self._iterator: Iterator[T] | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        try:
            if self._iterator is None:
                self._iterator = iter(self._stream)
            chunk = next(self._iterator)
        except StopIteration:
            self._ending.exhausted()
            raise
        except BaseException as error:
            self._ending.failed(error)
            raise
        self._ending.note(chunk)
        return chunk

    def __enter__(self) -> Self:
        if hasattr(self._stream, "__enter__"):
            self._manager = self._stream
            self._stream = self._manager.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(error)
        if "_manager" in self.__dict__:
            self._manager.__exit__(kind, error, trace)

    def close(self) -> None:
        self._end(None)
        if hasattr(self._stream, "close"):
            self._stream.close()

    def _end(self, error: BaseException | None) -> None:
        if error is None:
            self._ending.closed(self._stream)
        else:
            self._ending.failed(error)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        if name in ("_stream", "_ending"):  # not made yet: without this a copy of it would recurse
            raise AttributeError(name)
        return getattr(self._stream, name)

    def __del__(self) -> None:
        if "_ending" in self.__dict__:
            self._ending.closed(self._stream)


class AsyncMeteredStream(Generic[T]):
    """The same for `async for` and `async with`."""

    def __init__(self, stream: Any, ending: Ending) -> None:  # noqa: ANN401
        self._stream, self._ending = stream, ending
        self._iterator: AsyncIterator[T] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        try:
            if self._iterator is None:
                self._iterator = aiter(self._stream)
            chunk = await anext(self._iterator)
        except StopAsyncIteration:
            self._ending.exhausted()
            raise
        except BaseException as error:
            self._ending.failed(error)
            raise
        self._ending.note(chunk)
        return chunk

    async def __aenter__(self) -> Self:
        if hasattr(self._stream, "__aenter__"):
            self._manager = self._stream
            self._stream = await self._manager.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(error)
        if "_manager" in self.__dict__:
            await self._manager.__aexit__(kind, error, trace)

    async def close(self) -> None:
        self._end(None)
        close = getattr(self._stream, "close", None) or getattr(self._stream, "aclose", None)
        if close is not None:
            await close()

    aclose = close

    def _end(self, error: BaseException | None) -> None:
        if error is None:
            self._ending.closed(self._stream)
        else:
            self._ending.failed(error)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        if name in ("_stream", "_ending"):
            raise AttributeError(name)
        return getattr(self._stream, name)

    def __del__(self) -> None:
        if "_ending" in self.__dict__:
            self._ending.closed(self._stream)


def is_async(stream: object) -> bool:
    """Whether it is read with `async`: an async iterator, or the manager of one."""
    if hasattr(stream, "__aiter__"):
        return True
    return hasattr(stream, "__aenter__") and not hasattr(stream, "__enter__") and not hasattr(stream, "__iter__")
