"""A small SMTP server: takes mail for everybody but those it is told to refuse."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default


@dataclass(slots=True)
class MailServer:
    url: str
    refused: dict[str, str]
    messages: list[EmailMessage] = field(default_factory=list)


@contextmanager
def mail_server(refused: dict[str, str] | None = None) -> Iterator[MailServer]:
    """`refused` are answers by recipient, `550 no such user`."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 ready")
            while line := self.rfile.readline().decode().strip():
                command = line.split(":")[0].split(" ")[0].upper()
                if command == "RCPT":
                    address = line.partition("<")[2].partition(">")[0]
                    self._say(here.refused.get(address, "250 ok"))
                elif command == "DATA":
                    self._say("354 go on")
                    body = b""
                    while (part := self.rfile.readline()) not in (b".\r\n", b""):
                        body += part
                    message = message_from_bytes(body, policy=default)
                    assert isinstance(message, EmailMessage)
                    here.messages.append(message)
                    self._say("250 taken")
                elif command == "QUIT":
                    self._say("221 bye")
                    return
                else:
                    self._say("250 ok")

        def _say(self, answer: str) -> None:
            self.wfile.write(answer.encode() + b"\r\n")

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    here = MailServer(f"smtp://127.0.0.1:{server.server_address[1]}", refused or {})
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield here
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
