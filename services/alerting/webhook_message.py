"""A notice for programs, signed as Standard Webhooks say (standardwebhooks.com, specification 1.0). Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from datetime import datetime
from typing import Any, Literal

from services.alerting.notice import Notice

# How Standard Webhooks mark a signing secret; not one itself.
_SECRET_PREFIX = "whsec_"  # nosec B105
# The specification: between 24 and 64 bytes.
_SECRET_BYTES_MIN = 24


def webhook_payload(
    notice: Notice, fired_at: datetime, kind: Literal["alert.fired", "alert.resolved"] = "alert.fired"
) -> dict[str, Any]:
    """`{type, timestamp, data}`: the notice in words and in figures."""
    return {
        "type": kind,
        "timestamp": fired_at.isoformat(),
        "data": {
            **notice.facts,
            "title": notice.title,
            "cause": notice.cause,
            "figures": [{"label": figure.label, "value": figure.value} for figure in notice.figures],
            "view_url": notice.view_url,
        },
    }


def decode_secret(secret: str) -> bytes:
    """The key behind `whsec_…`. ValueError if it isn't one."""
    if not secret.startswith(_SECRET_PREFIX):
        raise ValueError(f"a webhook secret starts with {_SECRET_PREFIX}")
    try:
        key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("a webhook secret is base64 after its prefix") from None
    if len(key) < _SECRET_BYTES_MIN:
        raise ValueError(f"a webhook secret has at least {_SECRET_BYTES_MIN} bytes")
    return key


def signed_headers(secret: str, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers. `message_id` stays the same when a message is sent again: the receiver's key to know it by."""
    timestamp = str(int(at.timestamp()))
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    signature = base64.b64encode(hmac.new(decode_secret(secret), signed, hashlib.sha256).digest()).decode()
    return {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": f"v1,{signature}"}
