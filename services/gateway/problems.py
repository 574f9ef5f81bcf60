"""Errors of the HTTP door as problem details (RFC 9457), one table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from services.contracts.errors import Retry
from services.gateway import metrics
from services.gateway.body import (
    ENCODINGS,
    BodyTooLarge,
    MalformedEncoding,
    UnknownEncoding,
    drain,
)
from services.gateway.ingest import Forbidden, Unauthenticated
from services.gateway.intake import BatchTooLarge, MalformedBatch
from services.gateway.settings import BODY_BYTES_MAX
from services.runtime.rates import TooFast

log = structlog.get_logger(__name__)

RETRY_AFTER_SECONDS = 2

Handler = Callable[[Request, Exception], Awaitable[Response]]


class UnknownContentType(Exception):
    """A Content-Type that is no form of events."""


def problem(status: HTTPStatus, detail: str, headers: dict[str, str] | None = None) -> Response:
    """An `application/problem+json` answer."""
    body = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": detail}
    return Response(orjson.dumps(body), status, headers, "application/problem+json")


def add_handlers(app: FastAPI) -> None:
    """Registers how each error is answered."""
    too_large = f"the body is larger than {BODY_BYTES_MAX} bytes: send several batches"
    refused: dict[type[Exception], tuple[HTTPStatus, str | None, dict[str, str]]] = {
        Unauthenticated: (HTTPStatus.UNAUTHORIZED, None, {"www-authenticate": "Bearer"}),
        Forbidden: (HTTPStatus.FORBIDDEN, None, {}),
        MalformedBatch: (HTTPStatus.BAD_REQUEST, None, {}),
        MalformedEncoding: (HTTPStatus.BAD_REQUEST, None, {}),
        BatchTooLarge: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, None, {}),
        BodyTooLarge: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, too_large, {}),
        UnknownContentType: (
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            None,
            {"accept": "application/json, application/x-ndjson"},
        ),
        UnknownEncoding: (
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"Content-Encoding must be one of {', '.join(ENCODINGS)}",
            {"accept-encoding": ", ".join(ENCODINGS)},
        ),
        TimeoutError: (HTTPStatus.REQUEST_TIMEOUT, "the body did not arrive in time", {}),
        Retry: (HTTPStatus.SERVICE_UNAVAILABLE, None, {"retry-after": str(RETRY_AFTER_SECONDS)}),
    }
    for error, (status, detail, headers) in refused.items():
        app.add_exception_handler(error, _refusal(status, detail, headers))
    app.add_exception_handler(TooFast, _too_fast)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _unexpected)


def _refusal(status: HTTPStatus, detail: str | None, headers: dict[str, str]) -> Handler:
    async def handle(request: Request, error: Exception) -> Response:
        await drain(request)
        metrics.REQUESTS.labels("http", int(status)).inc()
        return problem(status, detail or str(error), headers)

    return handle


async def _too_fast(request: Request, error: Exception) -> Response:
    assert isinstance(error, TooFast)
    headers = {"retry-after": str(error.retry_after_seconds)}
    return await _refusal(HTTPStatus.TOO_MANY_REQUESTS, None, headers)(request, error)


async def _http_exception(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers) if error.headers else None
    return problem(HTTPStatus(error.status_code), str(error.detail), headers)


async def _gone(_request: Request, _error: Exception) -> Response:
    return problem(HTTPStatus.BAD_REQUEST, "the sender went away")


async def _unexpected(_request: Request, error: Exception) -> Response:
    log.error("unexpected_error", exc_info=error)
    metrics.REQUESTS.labels("http", int(HTTPStatus.INTERNAL_SERVER_ERROR)).inc()
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "something went wrong here; sending the events again is safe")
