"""One id for each request: on every line that is logged about it, and in its answer as `X-Request-Id`."""

from __future__ import annotations

import re
import secrets
import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "x-request-id"
_ACCEPTED = re.compile(r"[A-Za-z0-9._:-]{1,100}")
log = structlog.get_logger(__name__)


def bind_request_id(given: str | None) -> str:
    """Binds the caller's id, or a new one where that is none, to all that this task logs from now on; the id."""
    request_id = given if given and _ACCEPTED.fullmatch(given) else secrets.token_hex(8)
    structlog.contextvars.bind_contextvars(request_id=request_id)
    return request_id


class RequestIds:
    """The outermost layer of a web application: outside of what answers unexpected errors."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == HEADER.encode()), b"")
        request_id = bind_request_id(given.decode("latin-1"))
        started, status = time.perf_counter(), 0

        async def named_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (HEADER.encode(), request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, named_send)
        finally:
            # The path alone: what stands behind it may be a secret.
            say = log.warning if status >= 500 else log.debug
            say("request", method=scope["method"], path=scope["path"], status=status, ms=_since_ms(started))


def _since_ms(started: float) -> float:
    return round((time.perf_counter() - started) * 1_000, 1)
