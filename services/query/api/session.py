"""Signing in and out in a browser: by the link the system prints, or with a key."""

from __future__ import annotations

from html import escape
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from services.contracts.signin import read_signin_token
from services.query.api.parameters import NoParameters
from services.query.auth import SESSION_COOKIE, require_same_origin, set_session, whose_key
from services.query.parts import QueryParts, parts_of
from services.runtime.rates import TooFast

router = APIRouter(include_in_schema=False)
Parts = Annotated[QueryParts, Depends(parts_of)]
_FORM = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Sign in · Spendstream</title><main>
<h1>Sign in</h1><p>{said}</p><form method="post" action="/sign-in">
<input type="hidden" name="next" value="{next}">
<label>API key <input name="key" type="password" autocomplete="current-password" required autofocus></label>
<button>Sign in</button></form></main></html>"""


class SignInParameters(NoParameters):
    token: str | None = None
    next: str = "/"


@router.get("/sign-in")
async def get_sign_in(request: Request, asked: Annotated[SignInParameters, Query()], parts: Parts) -> Response:
    if asked.token is None:
        return await _form(request, "", asked.next, 200)
    claim = read_signin_token(parts.settings.session_secret.get_secret_value(), asked.token, parts.clock())
    if claim is None:
        return await _form(request, "This link is no longer good. Sign in with a key, or ask for a new link.", "/", 401)
    response = RedirectResponse(local_path(asked.next), 303)
    set_session(response, request, claim.principal)
    return response


@router.post("/sign-in")
async def post_sign_in(request: Request) -> Response:
    require_same_origin(request)
    fields = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=10)
    key, after = fields.get("key", [""])[0].strip(), fields.get("next", ["/"])[0]
    try:
        caller = await whose_key(request, key) if key else None
    except TooFast as error:
        said = "Too many keys that nobody has came from this address. Wait a moment, then try again."
        response = await _form(request, said, after, 429)
        response.headers["Retry-After"] = str(error.retry_after_seconds)
        return response
    if caller is None or caller.role == "ingest":
        said = (
            "No such key." if caller is None else "This key sends events; reading needs a viewer's or an admin's key."
        )
        return await _form(request, said, after, 401)
    response = RedirectResponse(local_path(after), 303)
    set_session(response, request, caller)
    return response


@router.post("/sign-out")
async def post_sign_out(request: Request) -> Response:
    require_same_origin(request)
    response = RedirectResponse("/sign-in", 303)
    response.delete_cookie(SESSION_COOKIE)
    return response


def local_path(text: str) -> str:
    """`text` where it is a path of this service, else "/": a link must not lead elsewhere after signing in."""
    safe = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable() and "\\" not in text
    return text if safe else "/"


async def _form(request: Request, said: str, after: str, status: int) -> Response:
    page = getattr(request.app.state, "sign_in_page", None)
    if page is not None:
        made = await page(request, said, local_path(after), status)
        assert isinstance(made, Response)
        return made
    return HTMLResponse(_FORM.format(said=escape(said), next=escape(local_path(after))), status)
