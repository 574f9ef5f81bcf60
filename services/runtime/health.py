"""`/healthz`, `/readyz` and `/metrics` for services that are no web service themselves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

_TIMEOUT_SECONDS = 10.0
# Says why the service is not ready, or "" when it is.
NotReady = Callable[[], str]


def serve_health(port: int, not_ready: NotReady, host: str = "127.0.0.1") -> ThreadingHTTPServer:
    """Serves in a daemon thread; raises OSError when the port is taken. `shutdown()` ends it."""

    class Handler(BaseHTTPRequestHandler):
        timeout = _TIMEOUT_SECONDS

        def do_GET(self) -> None:
            status, kind, body = _answer(self.path, not_ready)
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Probes come every second; they are not news."""

    server = ThreadingHTTPServer((host, port), Handler)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server


def _answer(path: str, not_ready: NotReady) -> tuple[int, str, bytes]:
    match path.partition("?")[0]:
        case "/healthz":
            return 200, "text/plain", b"ok\n"
        case "/readyz":
            reason = not_ready()
            return (503, "text/plain", reason.encode() + b"\n") if reason else (200, "text/plain", b"ok\n")
        case "/metrics":
            return 200, CONTENT_TYPE_LATEST, generate_latest()
        case _:
            return 404, "text/plain", b"not found\n"
