"""A real SMTP server: takes mail for everybody but those it is told to refuse."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.integration.processor.running import free_port


@dataclass(slots=True)
class MailServer:
    """`refused` are answers by recipient, `550 no such user`; `login` is whom it lets in, None for everybody."""

    host: str
    refused: dict[str, str]
    login: tuple[str, str] | None
    messages: list[EmailMessage] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"smtp://{self.host}"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        return "250 taken"

    def lets_in(self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: Any) -> AuthResult:  # noqa: ANN401
        assert isinstance(given, LoginPassword)
        is_right = (given.login.decode(), given.password.decode()) == self.login
        return AuthResult(success=is_right, handled=is_right)


@contextmanager
def mail_server(refused: dict[str, str] | None = None, login: tuple[str, str] | None = None) -> Iterator[MailServer]:
    port = free_port()
    here = MailServer(f"127.0.0.1:{port}", refused or {}, login)
    controller = Controller(
        here, hostname="127.0.0.1", port=port, authenticator=here.lets_in, auth_required=login is not None,
        auth_require_tls=False,
    )  # fmt: skip
    controller.start()
    try:
        yield here
    finally:
        controller.stop()
