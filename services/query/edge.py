"""What every request passes: limits on its body and its time, a measurement, headers that keep browsers careful."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from fastapi import HTTPException
from fastapi.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.query.api.problems import problem_response
from services.query.metrics import REQUEST_SECONDS
from services.query.settings import (
    ANSWER_SECONDS_MAX,
    BODY_BYTES_MAX,
    BODY_SECONDS_MAX,
    STREAM_SECONDS_MAX,
    STREAMED_PATHS,
)


class _BodyTooLarge(HTTPException):
    """An HTTPException, because FastAPI takes any other error while a body comes in for a malformed body."""

    def __init__(self) -> None:
        super().__init__(413, f"A body may have at most {BODY_BYTES_MAX} bytes.")


class _BodyTooSlow(HTTPException):
    """As above."""

    def __init__(self) -> None:
        super().__init__(408, f"The body did not arrive within {BODY_SECONDS_MAX:.0f} s.")


class _Body:
    """A request's body as the app receives it: so much, so soon."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._due = asyncio.get_running_loop().time() + BODY_SECONDS_MAX
        self._bytes = 0
        self._complete = False

    async def receive(self) -> Message:
        try:
            # Afterwards it is only asked whether the other side is still there.
            async with asyncio.timeout_at(None if self._complete else self._due):
                message = await self._receive()
        except TimeoutError:
            raise _BodyTooSlow from None
        self._complete = self._complete or not message.get("more_body", False)
        self._bytes += len(message.get("body", b""))
        if self._bytes > BODY_BYTES_MAX:
            raise _BodyTooLarge
        return message


class Edge:
    """The outermost layer of the app."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def noted_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *_CAREFUL]
            await send(message)

        try:
            refusal = await self._answered(scope, _Body(receive), noted_send, lambda: bool(status))
            if refusal is not None:
                await refusal(scope, receive, noted_send)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            took = time.perf_counter() - began
            REQUEST_SECONDS.labels(method=scope["method"], route=route, status=str(status)).observe(took)

    async def _answered(self, scope: Scope, body: _Body, send: Send, begun: Callable[[], bool]) -> Response | None:
        """Has the app answer within limits; what to say when it could not."""
        limit = asyncio.timeout(STREAM_SECONDS_MAX if scope["path"] in STREAMED_PATHS else ANSWER_SECONDS_MAX)
        try:
            if _declared_bytes(scope) > BODY_BYTES_MAX:
                raise _BodyTooLarge
            async with limit:
                await self._app(scope, body.receive, send)
        except (_BodyTooLarge, _BodyTooSlow) as error:
            return problem_response(error.status_code, error.detail)
        except TimeoutError:
            if begun() or not limit.expired():
                raise  # an answer that was begun can only be cut
            return problem_response(503, "This took too long and was stopped; try again, with a shorter range.")
        return None


_CAREFUL = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
]


def _declared_bytes(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0
