"""What Slack would have got, on a page: takes messages as an incoming webhook does and shows them at `/`."""

from __future__ import annotations

import json
import threading
from collections import deque
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from services.cli.slack_page import Message, page

_BODY_BYTES_MAX = 1_000_000
_MESSAGES_MAX = 200


class Inbox:
    """The latest messages, newest last; kept in a file so that a restart still shows them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        lines = path.read_text().splitlines() if path.exists() else []
        self._messages: deque[Message] = deque((json.loads(line) for line in lines), maxlen=_MESSAGES_MAX)

    def add(self, payload: object) -> None:
        message = {"received_at": datetime.now(UTC).isoformat(timespec="seconds"), "payload": payload}
        with self._lock:
            self._messages.append(message)
            with self._path.open("a") as file:
                file.write(json.dumps(message) + "\n")

    def all(self) -> list[Message]:
        with self._lock:
            return list(self._messages)


def serve(port: int, inbox: Inbox) -> ThreadingHTTPServer:
    """Starts the receiver in the background on the loopback interface; `port` 0 takes a free one."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            if length > _BODY_BYTES_MAX:
                return self._answer(413, "text/plain", b"too_large")
            try:
                inbox.add(json.loads(self.rfile.read(length)))
            except ValueError:
                return self._answer(400, "text/plain", b"invalid_payload")
            return self._answer(200, "text/plain", b"ok")

        def do_GET(self) -> None:
            if self.path == "/messages":
                return self._answer(200, "application/json", json.dumps(inbox.all()).encode())
            if self.path in ("/", "/healthz", "/readyz"):
                return self._answer(200, "text/html; charset=utf-8", page(inbox.all()).encode())
            return self._answer(404, "text/plain", b"not found")

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's names)
            """Says nothing: the page is the log."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, name="demo-receiver", daemon=True).start()
    return server
