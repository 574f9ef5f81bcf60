"""Pages as HTTP answers: headers that keep a browser from running or loading anything that isn't ours."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

import psycopg
import structlog
from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from psycopg_pool import PoolTimeout, TooManyRequests

from services.query.api.problems import Problem
from services.query.pages.ranges import RangeError
from services.query.pages.scope import UnknownTenant
from services.query.pages.templating import render
from services.query.read.question import QueryRefused

log = structlog.get_logger(__name__)

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "private, no-store",
    "Vary": "HX-Request, Cookie",
}
THEME_COOKIE: Final = "spendstream_theme"


def page(request: Request, template: str, context: dict[str, object], status: int = 200) -> Response:
    """A whole page."""
    theme = request.cookies.get(THEME_COOKIE, "")
    context = {"theme": theme if theme in ("light", "dark") else "", **context}
    return HTMLResponse(render(template, context), status, PAGE_HEADERS)


def fragment(request: Request, template: str, context: dict[str, object], mark: str) -> Response:
    """The part of a page that is polled. `mark` stands for the state of the store it shows."""
    return HTMLResponse(render(template, context), headers={**PAGE_HEADERS, "X-Seen": seen_as(request, mark)})


def seen_as(request: Request, mark: str) -> str:
    """What the browser has after this answer; it sends it with its next poll as `X-Seen`."""
    return hashlib.sha256(f"{request.url.path}?{request.url.query}#{mark}".encode()).hexdigest()[:16]


def unchanged(request: Request, mark: str, text: str, state: str) -> Response | None:
    """204 for a poll of what the browser already has; `text` and `state` keep its live dot alive."""
    seen = seen_as(request, mark)
    if not is_poll(request) or request.headers.get("x-seen") != seen:
        return None
    return Response(status_code=204, headers={**PAGE_HEADERS, "X-Seen": seen, "X-Through": f"{state} {text}"})


def is_poll(request: Request) -> bool:
    return request.headers.get("hx-request") == "true"


def fault(request: Request, status: int, title: str, lines: tuple[str, ...], *, retry: bool) -> Response:
    """What failed, what still is true, and what to do."""
    context: dict[str, object] = {
        "title": title,
        "lines": lines,
        "retry": str(request.url.path) + (f"?{request.url.query}" if request.url.query else "") if retry else "",
        "at": datetime.now(UTC),
    }
    return page(request, "fault.html", context, status)


Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class PageRoute(APIRoute):
    """A route whose errors are pages. Who isn't signed in is led to the sign-in by the app's own handler."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except Problem as problem:
                if problem.status == HTTPStatus.UNAUTHORIZED:
                    if request.method == "POST":
                        # A form of a session that has ended. Where it was sent to is no page to come back to.
                        return RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER, PAGE_HEADERS)
                    raise
                if problem.status == HTTPStatus.NOT_FOUND:
                    return not_there(request)
                return fault(request, problem.status, problem.detail.rstrip("."), (), retry=False)
            except (RangeError, QueryRefused) as wrong:
                return fault(
                    request, 400, "This address asks for something that can’t be shown", (str(wrong),), retry=False
                )
            except UnknownTenant:
                return not_there(request)
            except (psycopg.OperationalError, PoolTimeout, TooManyRequests) as away:
                log.warning("page_without_database", path=request.url.path, error=type(away).__name__)
                return _database_away(request)

        return handled


def not_there(request: Request) -> Response:
    """404; the same for what never was and for what this reader may not see."""
    line = "It may never have existed, or belong to someone whose figures this key can’t see."
    return fault(request, 404, "There is nothing here", (line,), retry=False)


def _database_away(request: Request) -> Response:
    lines = (
        "What failed: the database did not answer this page in time.",
        "What still is true: events go on being accepted and kept in Kafka; none is lost, none is counted twice.",
        "When the database is back the figures are complete again by themselves.",
    )
    return fault(request, 503, "The figures can’t be read right now", lines, retry=True)
