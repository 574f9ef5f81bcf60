"""A client that stops reading does not keep an answer, and what it holds, for ever."""

from __future__ import annotations

import asyncio
import time

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from services.runtime.http_server import CarefulProtocol
from tests.integration.processor.running import wait_until

_PIECE = bytes(1 << 16)


class Endless:
    """Answers without end, and notes when it may stop."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.let_go = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        gone = asyncio.create_task(self._until_gone(receive))
        while not gone.done():
            await send({"type": "http.response.body", "body": _PIECE, "more_body": True})
            self.begun.set()
            await asyncio.sleep(0)
        self.let_go.set()

    @staticmethod
    async def _until_gone(receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass


async def test_a_reader_that_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CarefulProtocol, "reader_seconds_max", 0.5)
    app = Endless()
    server = uvicorn.Server(
        uvicorn.Config(app, http=CarefulProtocol, port=0, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    )
    serving = asyncio.create_task(server._serve())
    await asyncio.to_thread(wait_until, lambda: server.started, "it serves")
    port = server.servers[0].sockets[0].getsockname()[1]
    _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    await asyncio.wait_for(app.begun.wait(), 5)
    started = time.monotonic()
    await asyncio.wait_for(app.let_go.wait(), 10)
    assert time.monotonic() - started > 0.4
    writer.close()
    server.should_exit = True
    await asyncio.wait_for(serving, 10)
