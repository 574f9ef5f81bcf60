"""The gateway's own fixtures, and a door that fails on demand for what a real one can't be made to do."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.integration.gateway.conftest import gateway, keys, make_key, settings, usage_topic

__all__ = ["gateway", "keys", "make_key", "settings", "usage_topic"]


class Door:
    """An HTTP door on a port (0: a free one): answers with `statuses` first, then accepts; keeps accepted ids."""

    def __init__(self, port: int = 0) -> None:
        self.statuses: list[int] = []
        self.event_ids: list[str] = []
        self.requests: list[list[str]] = []
        self.connections = 0
        self.hang_up = False
        door = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                door.connections += 1

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if door.hang_up:
                    door.hang_up = False
                    self.close_connection = True
                    return
                self._answer(json.loads(body))

            def _answer(self, events: list[dict[str, Any]]) -> None:
                ids = [event["event_id"] for event in events]
                door.requests.append(ids)
                status = door.statuses.pop(0) if door.statuses else 200
                if status == 200:
                    door.event_ids += ids
                answer = json.dumps({"accepted": len(ids), "rejected": []} if status == 200 else {}).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def door() -> Iterator[Door]:
    made = Door()
    yield made
    made.close()
