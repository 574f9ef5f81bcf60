"""Batches over HTTP to the gateway's `POST /v1/events`, on one connection that is kept open."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from spendstream_sdk.records import Event
from spendstream_sdk.transport import Delivered, GiveUp, TooLarge, TryAgain

_PASSING = frozenset((408, 425, 429))
_ANSWER_BYTES_MAX = 4_000_000


class HttpTransport:
    """`url` is the gateway's, with or without a path before `/v1/events`."""

    def __init__(self, url: str, key: str, timeout_seconds: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no http or https address")
        self._https = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._path = parts.path.rstrip("/") + "/v1/events"
        self._headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        self._timeout_seconds = timeout_seconds
        self._connection: http.client.HTTPConnection | None = None

    def send(self, events: Sequence[Event]) -> Delivered:
        """See `Transport.send`."""
        body = json.dumps(events, ensure_ascii=False, separators=(",", ":")).encode()
        kept_open = self._connection is not None
        try:
            connection = self._connect()
            connection.request("POST", self._path, body, self._headers)
            response = connection.getresponse()
            answer = response.read(_ANSWER_BYTES_MAX)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if kept_open and isinstance(error, ConnectionError):
                return self.send(events)  # closed over there while it was idle: no news, and the ids stay the same
            raise TryAgain(f"{self._host} doesn't answer ({error or type(error).__name__})") from error
        if response.will_close:
            self.close()
        return _judge(response.status, response.getheader("retry-after"), answer)

    def close(self) -> None:
        """See `Transport.close`."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def abandon(self) -> None:
        """See `Transport.abandon`."""
        self._connection = None

    def _connect(self) -> http.client.HTTPConnection:
        if self._connection is None:
            if self._https:
                self._connection = http.client.HTTPSConnection(
                    self._host, self._port, timeout=self._timeout_seconds, context=ssl.create_default_context()
                )
            else:
                self._connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_seconds)
        return self._connection


def _judge(status: int, retry_after: str | None, answer: bytes) -> Delivered:
    body = _object(answer)
    if status in (200, 400) and "accepted" in body:
        rejected = body.get("rejected") or []
        return Delivered(int(body["accepted"]), tuple(str(each.get("reason")) for each in rejected))
    if status in _PASSING or status >= 500:
        seconds = float(retry_after) if retry_after and retry_after.isdigit() else None
        raise TryAgain(f"the gateway answers HTTP {status}", seconds)
    if status == 413:
        raise TooLarge
    detail = body.get("detail") or body.get("title") or ""
    raise GiveUp(f"the gateway refuses with HTTP {status} {detail}".rstrip())


def _object(answer: bytes) -> dict[str, Any]:
    try:
        body = json.loads(answer)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
