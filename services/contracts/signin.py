"""Signed tokens for people's browsers: the sign-in link and the session cookie. Pure; HMAC-SHA-256 over what they say.

The secret is SPENDSTREAM_SESSION_SECRET; whoever has it can sign in as anyone, so it is kept like a key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from services.contracts.keys import ROLES, Principal

Purpose = Literal["sign-in", "session"]
SIGNIN_SECONDS = 86_400
SESSION_SECONDS = 14 * 86_400
SECRET_CHARACTERS_MIN = 16

# Who a sign-in link of `spendstream up` lets in: whoever started the system.
OPERATOR = Principal("operator", "operator", "admin", None)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a token says: who, and until when."""

    principal: Principal
    expires_at: datetime


def make_signin_token(secret: str, now: datetime, principal: Principal = OPERATOR) -> str:
    """The token of a sign-in link, `{query}/sign-in?token=…`; good for SIGNIN_SECONDS from the aware `now`."""
    return _make(secret, "sign-in", principal, now + timedelta(seconds=SIGNIN_SECONDS))


def read_signin_token(secret: str, token: str, now: datetime) -> Claim | None:
    """What a sign-in token claims; None if it is not ours, is damaged or has expired."""
    return _read(secret, "sign-in", token, now)


def make_session(secret: str, now: datetime, principal: Principal) -> str:
    """The value of the session cookie; good for SESSION_SECONDS from the aware `now`."""
    return _make(secret, "session", principal, now + timedelta(seconds=SESSION_SECONDS))


def read_session(secret: str, token: str, now: datetime) -> Claim | None:
    """What a session cookie claims; None if it is not ours, is damaged or has expired."""
    return _read(secret, "session", token, now)


def _make(secret: str, purpose: Purpose, principal: Principal, expires_at: datetime) -> str:
    said = {
        "key_id": principal.key_id,
        "name": principal.name,
        "role": principal.role,
        "tenant_id": principal.tenant_id,
        "expires": int(expires_at.timestamp()),
    }
    body = _encode(json.dumps(said, separators=(",", ":")).encode())
    return f"{body}.{_encode(_signature(secret, purpose, body))}"


def _read(secret: str, purpose: Purpose, token: str, now: datetime) -> Claim | None:
    body, _, signature = token.partition(".")
    try:
        signed = _decode(signature)
        if not hmac.compare_digest(signed, _signature(secret, purpose, body)):
            return None
        said = json.loads(_decode(body))
    except (ValueError, binascii.Error):
        return None
    expires_at = datetime.fromtimestamp(said["expires"], now.tzinfo)
    if expires_at <= now or said["role"] not in ROLES:
        return None
    return Claim(Principal(said["key_id"], said["name"], said["role"], said["tenant_id"]), expires_at)


def _signature(secret: str, purpose: Purpose, body: str) -> bytes:
    assert len(secret) >= SECRET_CHARACTERS_MIN, "a short secret can be guessed"
    # The purpose is signed too: a sign-in link is no session, nor the other way round.
    return hmac.new(secret.encode(), f"{purpose}.{body}".encode(), hashlib.sha256).digest()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.encode("ascii", "strict") + b"=" * (-len(text) % 4))
