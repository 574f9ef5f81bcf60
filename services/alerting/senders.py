"""Sends a notification: Slack and webhooks over HTTP with limits on time and size, e-mail over SMTP."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from urllib.parse import unquote, urlsplit

import httpx
import orjson

from services.alerting.delivery import (
    REASON_MAX,
    Later,
    Never,
    Outcome,
    Sent,
    mail_outcome,
    slack_outcome,
    webhook_outcome,
)
from services.alerting.mail_message import mail
from services.alerting.outbox import Notification
from services.alerting.webhook_message import signed_headers
from services.runtime.addresses import AddressRefused, AddressUnknown, Destination, destination
from services.runtime.sealing import CannotOpen, Sealer

CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 10.0
ANSWER_BYTES_MAX = 4_096
_JSON = {"content-type": "application/json", "user-agent": "spendstream-alerting", "accept-encoding": "identity"}


@dataclass(frozen=True, slots=True)
class Channels:
    """What the senders are given by settings; all secrets."""

    slack_webhook: str
    webhook_secret: str
    private_hosts: frozenset[str] | None
    smtp_url: str
    smtp_from: str
    address_key: str = ""

    def __repr__(self) -> str:
        return "Channels(…)"


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: str
    retry_after: str | None


class _TooSlow(Exception):
    pass


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends one notification and says how it went; raises nothing a channel could cause."""

    channels: Channels
    client: httpx.Client
    now: Callable[[], datetime]

    def send(self, notification: Notification) -> Outcome:
        try:
            if notification.channel == "email":
                return self._mail(notification)
            return self._post(notification)
        except (AddressUnknown, _TooSlow) as error:
            return Later(str(error))
        except AddressRefused as error:
            return Never(str(error))
        except CannotOpen as error:
            return Never(f"the address can't be opened, {error}: SPENDSTREAM_ADDRESS_KEY")
        except httpx.HTTPError as error:
            # The error's own text may hold the address, which is a secret.
            return Later(f"network error: {type(error).__name__}")
        except (httpx.InvalidURL, UnicodeError):
            return Never("the webhook's address is not a URL")

    def _post(self, notification: Notification) -> Outcome:
        address = self.channels.slack_webhook
        if notification.target == "rule":
            address = Sealer(self.channels.address_key).open(notification.address)
        if not address:
            return Never("the channel was removed")
        body = orjson.dumps(notification.payload)
        if notification.channel == "slack":
            answer = self._exchange(address, body, _JSON)
            return slack_outcome(answer.status, answer.body, answer.retry_after, self.now())
        if not self.channels.webhook_secret:
            return Never("no signing secret: set SPENDSTREAM_WEBHOOK_SECRET")
        message_id = str(notification.notification_id)
        signed = signed_headers(self.channels.webhook_secret, message_id, self.now(), body)
        answer = self._exchange(address, body, {**_JSON, **signed})
        return webhook_outcome(answer.status, answer.retry_after, self.now())

    def _exchange(self, address: str, body: bytes, headers: Mapping[str, str]) -> _Answer:
        where = destination(address, self.channels.private_hosts)
        for ip in where.ips[:-1]:
            try:
                return self._exchange_with(where, ip, body, headers)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return self._exchange_with(where, where.ips[-1], body, headers)

    def _exchange_with(self, where: Destination, ip: str, body: bytes, headers: Mapping[str, str]) -> _Answer:
        # Connected to an address that was checked; the name goes into Host and into TLS. Redirects are not followed.
        host = f"[{ip}]" if ":" in ip else ip
        deadline = monotonic() + ANSWER_SECONDS
        with self.client.stream(
            "POST",
            f"{where.scheme}://{host}:{where.port}{where.path}",
            content=body,
            headers={**headers, "host": where.host if where.port in (80, 443) else f"{where.host}:{where.port}"},
            extensions={"sni_hostname": where.host},
        ) as response:
            read = b""
            # As it comes: asked for pieces of a size, it would wait for each to be whole, however slowly it drips.
            for chunk in response.iter_raw():
                read += chunk
                if len(read) >= ANSWER_BYTES_MAX:
                    break
                if monotonic() > deadline:
                    raise _TooSlow(f"no whole answer within {ANSWER_SECONDS:.0f} s")
            text = read[:ANSWER_BYTES_MAX].decode("utf-8", "replace")
            return _Answer(response.status_code, text, response.headers.get("retry-after"))

    def _mail(self, notification: Notification) -> Outcome:
        if not self.channels.smtp_url:
            return Never("no mail server: set SPENDSTREAM_SMTP_URL")
        message_id = str(notification.notification_id)
        message = mail(notification.payload, self.channels.smtp_from, notification.target, message_id)
        try:
            with _smtp(self.channels.smtp_url) as server:
                server.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            code, text = next(iter(error.recipients.values()))
            return mail_outcome(code, _text(text))
        except smtplib.SMTPResponseException as error:
            return mail_outcome(error.smtp_code, _text(error.smtp_error))
        except smtplib.SMTPNotSupportedError:
            return Never("the mail server does not support what the settings ask for")
        except (smtplib.SMTPException, OSError) as error:
            return Later(f"network error: {type(error).__name__}")
        return Sent()


def make_client() -> httpx.Client:
    """The HTTP client of a sender: no redirects, no proxy from the environment (it would undo the address check)."""
    timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
    return httpx.Client(timeout=timeout, follow_redirects=False, trust_env=False)


def _smtp(url: str) -> smtplib.SMTP:
    parts = urlsplit(url)
    host = parts.hostname or "localhost"
    if parts.scheme == "smtps":
        context = ssl.create_default_context()
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, parts.port or 465, timeout=ANSWER_SECONDS, context=context)
    else:
        server = smtplib.SMTP(host, parts.port or 25, timeout=ANSWER_SECONDS)
        server.ehlo_or_helo_if_needed()
        if server.has_extn("starttls"):
            server.starttls(context=ssl.create_default_context())
    if parts.username:
        server.login(unquote(parts.username), unquote(parts.password or ""))
    return server


def _text(answer: bytes | str) -> str:
    return (answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer)[:REASON_MAX]
