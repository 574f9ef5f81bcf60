"""Sending, with a real receiver that answers well, badly and not at all."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from services.alerting.delivery import ATTEMPTS_MAX, Later, Never, Sent
from services.alerting.outbox import pending
from tests.integration.alerting.receiver import OK, Answer, receiver
from tests.integration.alerting.watched import (
    SECRET,
    add_notifications,
    channels,
    connect,
    empty,
    send_one,
    soon,
    states,
)
from tests.integration.spikes.spending import Connection

NOW = datetime(2026, 10, 7, 12, 20, tzinfo=UTC)


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        empty(opened)
        yield opened


@contextmanager
def dripping_server() -> Iterator[str]:
    """Answers a byte every tenth of a second, without end."""
    done = threading.Event()

    def drip(listener: socket.socket) -> None:
        client, _ = listener.accept()
        with client:
            client.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 4000\r\n\r\n")
            while not done.wait(0.1):
                try:
                    client.sendall(b"o")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        done.set()
        thread.join()


def test_slack_gets_the_message_and_the_outbox_says_so(connection: Connection) -> None:
    (text,) = add_notifications(connection, 1, NOW)
    with receiver() as slack:
        assert send_one(connection, channels(slack.url + "/hook/T/B/x"), NOW) == Sent()
        assert send_one(connection, channels(slack.url), NOW) is None
    (request,) = slack.requests
    assert request.path == "/hook/T/B/x" and request.json == {"text": text}
    assert request.headers["content-type"] == "application/json"
    assert states(connection) == [("slack", "sent", 1, None)]


def test_too_many_requests_waits_as_long_as_slack_says(connection: Connection) -> None:
    add_notifications(connection, 1, NOW)
    answers = iter([Answer(429, b"rate_limited", {"retry-after": "30"}), OK])
    with receiver(lambda _: next(answers)) as slack:
        given = channels(slack.url)
        assert send_one(connection, given, NOW) == Later("Slack answered 429 rate_limited", 30.0)
        assert send_one(connection, given, soon(NOW, 29)) is None
        assert send_one(connection, given, soon(NOW, 30)) == Sent()
    assert len(slack.requests) == 2
    assert states(connection) == [("slack", "sent", 2, None)]


def test_server_errors_are_tried_again_with_growing_waits_and_an_end(connection: Connection) -> None:
    add_notifications(connection, 1, NOW)
    now, waits = NOW, []
    with receiver(lambda _: Answer(500, b"")) as slack:
        for _ in range(ATTEMPTS_MAX):
            assert send_one(connection, channels(slack.url), now) == Later("Slack answered 500")
            row = connection.execute("SELECT next_attempt_at, state FROM notification").fetchone()
            assert row is not None
            waits.append((row[0] - now).total_seconds())
            now = row[0]
        assert send_one(connection, channels(slack.url), now + timedelta(days=1)) is None
    assert waits[:5] == [1.0, 2.0, 4.0, 8.0, 16.0] and max(waits) == 900.0
    assert states(connection) == [
        ("slack", "failed", ATTEMPTS_MAX, f"gave up after {ATTEMPTS_MAX} attempts: Slack answered 500")
    ]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(403, b"invalid_token"), "Slack answered 403 invalid_token"),
        (Answer(410, b"channel_is_archived"), "Slack answered 410 channel_is_archived"),
        (Answer(200, b"<html>welcome</html>"), "Slack answered 200 <html>welcome</html>"),
        (Answer(302, b"", {"location": "http://169.254.169.254/"}), "Slack answered 302"),
    ],
)
def test_permanent_errors_park_the_notification_with_the_reason(
    connection: Connection, answer: Answer, reason: str
) -> None:
    add_notifications(connection, 1, NOW)
    with receiver(lambda _: answer) as slack:
        assert send_one(connection, channels(slack.url), NOW) == Never(reason)
        assert send_one(connection, channels(slack.url), NOW + timedelta(days=9)) is None
    assert len(slack.requests) == 1
    assert states(connection) == [("slack", "failed", 1, reason)]


def test_nobody_listening_is_a_network_error_without_the_address(connection: Connection) -> None:
    add_notifications(connection, 1, NOW)
    with receiver() as gone:
        address = gone.url + "/hook/secret"
    assert send_one(connection, channels(address), NOW) == Later("network error: ConnectError")


def test_an_answer_that_breaks_off_is_a_network_error(connection: Connection) -> None:
    add_notifications(connection, 1, NOW)
    with receiver(lambda _: Answer(200, b"o", {"content-length": "2"})) as slack:
        outcome = send_one(connection, channels(slack.url), NOW)
    assert outcome == Later("network error: RemoteProtocolError")


def test_a_huge_answer_is_not_read_to_its_end(connection: Connection) -> None:
    add_notifications(connection, 1, NOW)
    with receiver(lambda _: Answer(200, b"x" * 50_000_000)) as slack:
        outcome = send_one(connection, channels(slack.url), NOW)
    assert isinstance(outcome, Never) and len(outcome.reason) < 300


def test_a_private_address_is_refused_unless_it_is_allowed(connection: Connection) -> None:
    add_notifications(connection, 1, NOW)
    with receiver() as slack:
        outcome = send_one(connection, channels(slack.url, private=frozenset({"elsewhere"})), NOW)
        assert isinstance(outcome, Never)
        assert slack.requests == []
    assert states(connection)[0][1] == "failed"


def test_a_name_is_asked_for_once_and_what_was_checked_is_connected_to(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that answers differently a moment later (rebinding) changes nothing."""
    add_notifications(connection, 1, NOW)
    real, answers = socket.getaddrinfo, iter(["127.0.0.1"])

    def resolve(host: str, *more: Any, **named: Any) -> Any:  # noqa: ANN401
        return real(next(answers) if host == "hook.example" else host, *more, **named)

    with receiver() as slack:
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        port = urlsplit(slack.url).port
        given = channels(f"http://hook.example:{port}/hook", private=frozenset({"hook.example"}))
        assert send_one(connection, given, NOW) == Sent()
    assert slack.requests[0].headers["host"] == f"hook.example:{port}"


def test_a_name_that_leads_inside_is_refused_when_it_is_sent_to(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_notifications(connection, 1, NOW)
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_a, **_n: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 443))]
    )
    outcome = send_one(connection, channels("https://metadata.example/secret", private=frozenset()), NOW)
    assert isinstance(outcome, Never) and outcome.reason.startswith("metadata.example is a private address")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(connection: Connection, status: int) -> None:
    add_notifications(connection, 1, NOW)
    with receiver() as inside:
        leads_inside = Answer(status, b"", {"location": f"{inside.url}/latest/meta-data"})
        with receiver(lambda _: leads_inside) as slack:
            assert send_one(connection, channels(slack.url), NOW) == Never(f"Slack answered {status}")
        assert inside.requests == []


def test_an_answer_that_drips_is_given_up(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.alerting.senders.ANSWER_SECONDS", 0.5)
    add_notifications(connection, 1, NOW)
    with dripping_server() as url:
        started = time.monotonic()
        outcome = send_one(connection, channels(url), NOW)
    assert isinstance(outcome, Later) and time.monotonic() - started < 5


def test_a_webhook_is_signed_and_keeps_its_id_when_sent_again(connection: Connection) -> None:
    answers = iter([Answer(503), Answer(204, b"")])
    with receiver(lambda _: next(answers)) as hook:
        add_notifications(connection, 1, NOW, "webhook", "rule")
        connection.execute("UPDATE alert_rule SET webhook_url = %s", [hook.url + "/in"])
        assert isinstance(send_one(connection, channels(), NOW), Later)
        assert send_one(connection, channels(), soon(NOW, 1)) == Sent()
    first, second = hook.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"] and first.body == second.body
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    for request in hook.requests:
        signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
        signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert request.headers["webhook-signature"] == f"v1,{signature}"


def test_a_webhook_removed_from_its_rule_parks_what_waits_for_it(connection: Connection) -> None:
    add_notifications(connection, 1, NOW, "webhook", "rule")
    assert send_one(connection, channels(), NOW) == Never("the channel was removed")


def test_two_workers_send_each_notification_once_and_each_channels_in_order(
    connection: Connection, database: str
) -> None:
    places = [f"place-{number}" for number in range(3)]
    texts = {place: add_notifications(connection, 8, NOW, target=place, apart_seconds=1) for place in places}
    ticks = itertools.count(10)
    with receiver() as slack:
        given = channels(slack.url)

        def worker() -> None:
            with connect(database) as own:
                while pending(own):
                    send_one(own, given, soon(NOW, next(ticks)))

        workers = [threading.Thread(target=worker) for _ in range(4)]
        for one in workers:
            one.start()
        for one in workers:
            one.join()
    received = [request.json["text"] for request in slack.requests]
    assert len(received) == 24
    for place in places:
        assert [text for text in received if text in texts[place]] == texts[place]


def test_a_channel_gets_a_message_a_second_and_no_channel_waits_for_another(connection: Connection) -> None:
    first = add_notifications(connection, 3, NOW, target="one", apart_seconds=0.001)
    (other,) = add_notifications(connection, 1, NOW, target="two")
    sent_at: dict[str, float] = {}
    with receiver() as slack:
        for tenth in range(31):
            known = len(slack.requests)
            while send_one(connection, channels(slack.url), soon(NOW, 0.01 + tenth / 10)) is not None:
                pass
            sent_at |= {request.json["text"]: tenth / 10 for request in slack.requests[known:]}
    assert sent_at == {first[0]: 0.0, other: 0.0, first[1]: 1.0, first[2]: 2.0}


def test_a_message_that_is_tried_again_holds_up_its_own_channel_for_ten_minutes(connection: Connection) -> None:
    broken, behind = add_notifications(connection, 2, NOW, target="one", apart_seconds=0.001)
    (other,) = add_notifications(connection, 1, NOW, target="two")
    now = soon(NOW, 0.01)
    with receiver(lambda r: Answer(500) if r.json["text"] == broken else OK) as slack:
        given = channels(slack.url)
        assert {type(send_one(connection, given, now)) for _ in range(3)} == {Later, Sent, type(None)}
        assert [request.json["text"] for request in slack.requests] in ([broken, other], [other, broken])
        tried = 0
        while behind not in [request.json["text"] for request in slack.requests]:
            now = soon(now, 30)
            tried += isinstance(send_one(connection, given, now), Later)
        assert tried > 5 and timedelta(minutes=10) <= now - NOW < timedelta(minutes=11)
    assert pending(connection) == 1


def test_a_channel_that_wants_to_be_left_alone_is(connection: Connection) -> None:
    add_notifications(connection, 1, NOW - timedelta(hours=1), target="one")
    add_notifications(connection, 1, NOW, target="one")
    with receiver(lambda _: Answer(429, b"rate_limited", {"retry-after": "90"})) as slack:
        given = channels(slack.url)
        assert isinstance(send_one(connection, given, soon(NOW, 1)), Later)
        # The first is too old to hold up anybody.
        assert send_one(connection, given, soon(NOW, 90)) is None
        assert isinstance(send_one(connection, given, soon(NOW, 91)), Later)
    assert len(slack.requests) == 2
