"""Asks a service whether it is ready."""

from __future__ import annotations

import http.client

_TIMEOUT_SECONDS = 1.0
_OK = 200


def answers_ok(port: int, path: str = "/readyz", host: str = "127.0.0.1") -> bool:
    """Whether GET `path` is answered with 200."""
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == _OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
