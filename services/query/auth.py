"""Who is asking: a Bearer key, or the session cookie of a browser that signed in."""

from __future__ import annotations

from time import monotonic
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request, Response

from services.contracts.keys import Principal
from services.contracts.signin import OPERATOR, SESSION_SECONDS, make_session, read_session
from services.query.api.problems import Problem
from services.query.parts import QueryParts, parts_of
from services.query.read.session import CALLER
from services.runtime.keys import BOOTSTRAP_KEY_ID
from services.runtime.rates import TooFast, network_of

SESSION_COOKIE = "spendstream_session"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_KEY_CHARACTERS_MAX = 500
# Sessions of these need no look at the table of keys.
_NO_TABLE_KEY = frozenset({OPERATOR.key_id, BOOTSTRAP_KEY_ID})


async def find_caller(request: Request) -> Principal | None:
    """Whose request this is, None when nobody's. A wrong key is nobody's even beside a good cookie. What is read from
    here on in this request is confined to what the caller may see.

    Raises Problem 403 when a cookie would change something at the bidding of another site, TooFast for a key that asks
    too often or an address that tries too many.
    """
    CALLER.set(None)
    caller = await _find_caller(request)
    if caller is not None:
        requests, now = parts_of(request).requests, monotonic()
        wait = requests.wait_seconds(caller.key_id, now)
        if wait:
            raise TooFast(f"This key asks more than {requests.per_second:g} times a second.", wait)
        requests.take(caller.key_id, 1, now)
    CALLER.set(caller)
    return caller


async def whose_key(request: Request, key: str) -> Principal | None:
    """Whom `key` belongs to, None when nobody; raises TooFast when too many such came from this client's network."""
    parts, network = parts_of(request), network_of(request.client.host if request.client else "")
    wait = parts.unknown_keys.wait_seconds(network, monotonic())
    if wait and not parts.keys.is_known(key):
        raise TooFast("Too many keys that nobody has came from this address.", wait)
    principal = await parts.keys.authenticate(key)
    if principal is None:
        parts.unknown_keys.take(network, 1, monotonic())
    return principal


async def _find_caller(request: Request) -> Principal | None:
    parts = parts_of(request)
    header = request.headers.get("authorization")
    if header is not None:
        scheme, _, key = header.partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key or len(key) > _KEY_CHARACTERS_MAX:
            return None
        return await whose_key(request, key)
    token = request.cookies.get(SESSION_COOKIE)
    claim = read_session(parts.settings.session_secret.get_secret_value(), token, parts.clock()) if token else None
    if claim is None or not await _is_still_good(parts, claim.principal):
        return None
    if request.method not in _SAFE_METHODS:
        require_same_origin(request)
    return claim.principal


async def reader(request: Request) -> Principal:
    """Who may read; Problem 401 for nobody, 403 for keys that only send."""
    caller = await find_caller(request)
    if caller is None:
        raise Problem(401, "A valid key is needed: send `Authorization: Bearer KEY`, or sign in.")
    if caller.role == "ingest":
        raise Problem(403, "This key sends events; reading needs a viewer's or an admin's key.")
    return caller


async def admin(request: Request) -> Principal:
    """Who may administrate; Problem 401 for nobody, 403 for all but admins."""
    caller = await find_caller(request)
    if caller is None:
        raise Problem(401, "A valid key is needed: send `Authorization: Bearer KEY`, or sign in.")
    if caller.role != "admin":
        raise Problem(403, "Only an admin's key may do this.")
    return caller


Reader = Annotated[Principal, Depends(reader)]
Admin = Annotated[Principal, Depends(admin)]


def set_session(response: Response, request: Request, principal: Principal) -> None:
    """Signs a browser in: a cookie no script can read and other sites' forms do not carry."""
    parts = parts_of(request)
    value = make_session(parts.settings.session_secret.get_secret_value(), parts.clock(), principal)
    response.set_cookie(
        SESSION_COOKIE,
        value,
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )


def require_same_origin(request: Request) -> None:
    """Problem 403 unless the browser says that one of our own pages sent this."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        same = site == "same-origin"
    else:
        origin = request.headers.get("origin", "")
        same = bool(origin) and urlsplit(origin).netloc == request.headers.get("host")
    if not same:
        raise Problem(403, "A session may change things only from the pages of this service.")


async def _is_still_good(parts: QueryParts, principal: Principal) -> bool:
    if principal.key_id in _NO_TABLE_KEY:
        return True
    async with parts.writes.connection() as conn:
        cursor = await conn.execute(
            "SELECT EXISTS (SELECT FROM api_key WHERE key_id::text = %s AND revoked_at IS NULL)", (principal.key_id,)
        )
        row = await cursor.fetchone()
    return bool(row and row[0])
