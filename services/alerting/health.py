"""The worker's one door: /healthz (the process lives), /readyz (rules were evaluated lately), /metrics."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

_NOT_READY = b"rules were not evaluated lately: the database may be away, the log says it\n"
_TEXT = "text/plain; charset=utf-8"
_REQUEST_SECONDS = 5


@contextmanager
def health_server(host: str, port: int, ready: Callable[[], bool]) -> Iterator[int]:
    """Serves until the block ends; gives the port it listens on. Raises OSError where it can't listen."""

    class Handler(BaseHTTPRequestHandler):
        timeout = _REQUEST_SECONDS

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/healthz":
                self._answer(200, _TEXT, b"ok\n")
            elif path == "/readyz":
                self._answer(*((200, _TEXT, b"ready\n") if ready() else (503, _TEXT, _NOT_READY)))
            elif path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest())
            else:
                self._answer(404, _TEXT, b"not found\n")

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Probes are not worth a line."""

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
