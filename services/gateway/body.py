"""Reads a request's body in bounded memory, unpacked where it is packed."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from fastapi import Request
from starlette.requests import ClientDisconnect

from services.gateway.coalescing import Overloaded
from services.gateway.settings import BODY_BYTES_MAX, RECEIVE_SECONDS_MAX

ENCODINGS = ("identity", "gzip", "deflate")
# What is still read and thrown away of a request that is refused: a sender in the middle of sending may not look
# for an answer, and closing on it would lose the answer.
_DRAIN_BYTES_MAX = 64 * 1024 * 1024
_DRAIN_SECONDS_MAX = 15.0


class BodyTooLarge(Exception):
    """More than BODY_BYTES_MAX, as sent or as unpacked."""


class UnknownEncoding(Exception):
    """A Content-Encoding that is not in ENCODINGS."""


class MalformedEncoding(ValueError):
    """The body is not what its Content-Encoding says."""


class ReceivingBudget:
    """Bytes of all bodies being received or read; bounds what many large or slow senders can hold together."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0

    @contextmanager
    def share(self) -> Iterator[BudgetShare]:
        """One request's part; given back at the end."""
        share = BudgetShare(self)
        try:
            yield share
        finally:
            self._bytes -= share.bytes_taken

    def take(self, count: int) -> None:
        if self._bytes + count > self._bytes_max:
            raise Overloaded("too many bytes are being received")
        self._bytes += count


class BudgetShare:
    """What one request holds of a ReceivingBudget."""

    def __init__(self, budget: ReceivingBudget) -> None:
        self._budget = budget
        self.bytes_taken = 0

    def take(self, count: int) -> None:
        """Raises Overloaded when there is no room for `count` bytes more."""
        self._budget.take(count)
        self.bytes_taken += count


async def read_body(request: Request, share: BudgetShare) -> bytes:
    """The body, unpacked; raises BodyTooLarge, UnknownEncoding, MalformedEncoding, Overloaded, TimeoutError."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ENCODINGS:
        raise UnknownEncoding(encoding)
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > BODY_BYTES_MAX:
        raise BodyTooLarge
    chunks: list[bytes] = []
    received = 0
    async with asyncio.timeout(RECEIVE_SECONDS_MAX):
        async for chunk in request.stream():
            received += len(chunk)
            if received > BODY_BYTES_MAX:
                raise BodyTooLarge
            share.take(len(chunk))
            chunks.append(chunk)
    request.state.body_read = True
    body = b"".join(chunks)
    if encoding == "identity":
        return body
    unpacked = unpack(body)
    share.take(len(unpacked))
    return unpacked


def unpack(packed: bytes) -> bytes:
    """gzip or zlib data unpacked, never more than BODY_BYTES_MAX of it; raises BodyTooLarge, MalformedEncoding."""
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # 32: either header
    try:
        unpacked = unpacker.decompress(packed, BODY_BYTES_MAX + 1)
    except zlib.error:
        raise MalformedEncoding("the body is not what its Content-Encoding says") from None
    if len(unpacked) > BODY_BYTES_MAX:
        raise BodyTooLarge
    if not unpacker.eof or unpacker.unused_data:
        raise MalformedEncoding("the body ends too early, or goes on after its end")
    return unpacked


async def drain(request: Request) -> None:
    """Reads what the sender still sends of a request that is refused, up to a limit, and keeps nothing."""
    if getattr(request.state, "body_read", False):
        return
    if request.headers.get("expect", "").lower() == "100-continue":
        return  # it waits to be told before it sends
    try:
        async with asyncio.timeout(_DRAIN_SECONDS_MAX):
            left = _DRAIN_BYTES_MAX
            async for chunk in _rest(request):
                left -= len(chunk)
                if left < 0:
                    return
    except (TimeoutError, ClientDisconnect):
        return


async def _rest(request: Request) -> AsyncIterator[bytes]:
    while True:
        message = await request.receive()
        if message["type"] != "http.request":
            return
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return
