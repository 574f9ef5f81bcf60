"""What every request passes: a limit on its body, a measurement, headers that keep browsers careful."""

from __future__ import annotations

import time

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.query.api.problems import problem_response
from services.query.metrics import REQUEST_SECONDS
from services.query.settings import BODY_BYTES_MAX


class _BodyTooLarge(HTTPException):
    """An HTTPException, because FastAPI takes any other error while a body comes in for a malformed body."""

    def __init__(self) -> None:
        super().__init__(413, f"A body may have at most {BODY_BYTES_MAX} bytes.")


class Edge:
    """The outermost layer of the app."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, received = time.perf_counter(), 0, 0

        async def limited_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > BODY_BYTES_MAX:
                raise _BodyTooLarge
            return message

        async def noted_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *_CAREFUL]
            await send(message)

        try:
            if _declared_bytes(scope) > BODY_BYTES_MAX:
                raise _BodyTooLarge
            await self._app(scope, limited_receive, noted_send)
        except _BodyTooLarge as error:
            await problem_response(error.status_code, error.detail)(scope, receive, noted_send)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            took = time.perf_counter() - began
            REQUEST_SECONDS.labels(method=scope["method"], route=route, status=str(status)).observe(took)


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
