"""Asks a service whether it is ready. As a container's health check: `python -m services.runtime.readiness PORT`."""

from __future__ import annotations

import http.client
import sys

_TIMEOUT_SECONDS = 1.0
_OK = 200
_BODY_BYTES_MAX = 4_096


def answers_ok(port: int, path: str = "/readyz", host: str = "127.0.0.1") -> bool:
    """Whether GET `path` is answered with 200."""
    return _answer(port, path, host)[0] == _OK


def waits_for_operator(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a service says at `/readyz` that it is halted: it runs, and goes on when somebody decides."""
    return _answer(port, "/readyz", host)[1].startswith(b"halted:")


def _answer(port: int, path: str, host: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(_BODY_BYTES_MAX)
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if answers_ok(int(sys.argv[1])) else 1)
