"""What went wrong, as RFC 9457 says it: `application/problem+json`, naming each wrong parameter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import orjson
import psycopg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from psycopg_pool import PoolTimeout, TooManyRequests
from starlette.exceptions import HTTPException

from services.contracts.errors import Retry
from services.query.metrics import REFUSED
from services.query.read.question import QueryRefused
from services.runtime.rates import TooFast

log = structlog.get_logger(__name__)
PROBLEM_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Complaint:
    """One wrong parameter (or field of a body) and what is wrong with it."""

    parameter: str
    detail: str


class Problem(Exception):
    """Ends a request with this status; `complaints` name the parameters at fault."""

    def __init__(self, status: int, detail: str, complaints: Sequence[Complaint] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.complaints = tuple(complaints)


@dataclass(slots=True)
class Complaints:
    """Collects what is wrong with the parameters of one request, so that all is said at once."""

    found: list[Complaint] = field(default_factory=list)

    def add(self, parameter: str, detail: str) -> None:
        self.found.append(Complaint(parameter, detail))

    def raise_if_any(self) -> None:
        if self.found:
            raise wrong_parameters(self.found)


def wrong_parameters(complaints: Sequence[Complaint]) -> Problem:
    names = ", ".join(dict.fromkeys(complaint.parameter for complaint in complaints))
    return Problem(400, f"Wrong: {names}.", complaints)


def not_found(what: str = "There is no such thing here.") -> Problem:
    """The same for what is not there and for what is another tenant's."""
    return Problem(404, what)


def problem_response(status: int, detail: str, complaints: Sequence[Complaint] = ()) -> Response:
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if complaints:
        body["errors"] = [{"parameter": c.parameter, "detail": c.detail} for c in complaints]
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {"Retry-After": "2"} if status == 503 else {}
    REFUSED.labels(kind=str(status)).inc()
    return Response(orjson.dumps(body), status, headers, media_type=PROBLEM_TYPE)


def wants_page(request: Request) -> bool:
    """Whether a person's browser asks for a page, and so is better led to the sign-in than told a status."""
    accepts = "text/html" in request.headers.get("accept", "")
    return accepts and request.method == "GET" and not request.url.path.startswith("/api/")


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    if error.status == 401 and wants_page(request) and request.url.path != "/sign-in":
        back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/sign-in?next={quote(back, safe='')}", 303)
    return problem_response(error.status, error.detail, error.complaints)


async def _on_refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, QueryRefused)
    return problem_response(400, error.message, [Complaint(error.parameter, error.message)])


async def _on_invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    complaints = [Complaint(_name(one["loc"]), _reason(one)) for one in error.errors()]
    names = ", ".join(dict.fromkeys(complaint.parameter for complaint in complaints))
    return problem_response(400, f"Wrong: {names}.", complaints)


def _name(place: Sequence[str | int]) -> str:
    inner = [str(part) for part in place[1:]]
    return ".".join(inner) if inner else str(place[0])


def _reason(error: dict[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return "there is no such parameter"
    return str(error["msg"]).removeprefix("Value error, ")


async def _on_http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = problem_response(error.status_code, str(error.detail))
    response.headers.update(error.headers or {})
    return response


async def _on_too_fast(_request: Request, error: Exception) -> Response:
    assert isinstance(error, TooFast)
    response = problem_response(429, str(error))
    response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


async def _on_unavailable(_request: Request, error: Exception) -> Response:
    log.warning("database_away", error=type(error).__name__)
    return problem_response(503, "The database does not answer at the moment; try again shortly.")


async def _on_too_long(_request: Request, _error: Exception) -> Response:
    return problem_response(503, "This took too long and was stopped: ask for a shorter range or fewer dimensions.")


async def _on_bug(request: Request, error: Exception) -> Response:
    log.error("request_failed", path=request.url.path, exc_info=error)
    return problem_response(500, "Something is wrong on our side; it is in the log.")


def install_problems(app: FastAPI) -> None:
    """Every error of `app` answers with a problem document."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(QueryRefused, _on_refused)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(TooFast, _on_too_fast)
    app.add_exception_handler(psycopg.errors.QueryCanceled, _on_too_long)
    for away in (psycopg.OperationalError, PoolTimeout, TooManyRequests, Retry):
        app.add_exception_handler(away, _on_unavailable)
    app.add_exception_handler(Exception, _on_bug)
