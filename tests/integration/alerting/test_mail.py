"""E-mail through a real SMTP dialogue."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from services.alerting.delivery import Later, Never, Sent
from services.alerting.evaluator import Telling, evaluate_spikes
from tests.integration.alerting.mail_server import mail_server
from tests.integration.alerting.watched import add_rule, add_spike, channels, connect, empty, send_one, states
from tests.integration.spikes.spending import Connection

# The tests' server says so each time it wants a login without TLS.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
NOW = datetime(2026, 10, 7, 12, 20, tzinfo=UTC)


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        empty(opened)
        yield opened


def fire(connection: Connection, *emails: str) -> None:
    add_rule(connection, notification_emails=list(emails))
    add_spike(connection, "acme-corp", NOW)
    assert evaluate_spikes(connection, NOW, Telling("https://spend.example", has_default_slack=True)) == 1


def test_a_mail_has_text_and_html_and_an_id_of_its_own(connection: Connection) -> None:
    fire(connection, "oncall@example.com")
    with mail_server() as server:
        assert send_one(connection, channels(smtp=server.url), NOW) == Sent()
    (message,) = server.messages
    assert message["Subject"] == "chat at acme-corp: $3.78 since 12:00 UTC, 3.9 × its usual hour"
    assert (message["To"], message["From"]) == ("oncall@example.com", "spendstream@example.com")
    ((notification_id,),) = connection.execute("SELECT notification_id FROM notification").fetchall()
    assert message["Message-ID"] == f"<{notification_id}@spendstream>"
    text, html = (message.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None and "Prompts grew from 900 to 3,700 tokens." in text.get_content()
    assert html is not None and "<h2" in html.get_content()


def test_a_recipient_unknown_is_permanent_and_a_full_mailbox_passes(connection: Connection) -> None:
    fire(connection, "full@example.com", "gone@example.com")
    refused = {"full@example.com": "452 mailbox full", "gone@example.com": "550 no such user"}
    with mail_server(refused) as server:
        outcomes = [send_one(connection, channels(smtp=server.url), NOW + timedelta(milliseconds=n)) for n in range(2)]
    assert sorted(outcomes, key=str) == [
        Later("the mail server answered 452 mailbox full"),
        Never("the mail server answered 550 no such user"),
    ]
    assert sorted(state for _, state, _, _ in states(connection)) == ["failed", "pending"]


def test_a_server_that_wants_a_login_gets_the_one_of_the_settings(connection: Connection) -> None:
    fire(connection, "oncall@example.com")
    with mail_server(login=("spend", "p@ss/word")) as server:
        right = channels(smtp=f"smtp://spend:p%40ss%2Fword@{server.host}")
        assert send_one(connection, right, NOW) == Sent()
    assert len(server.messages) == 1


def test_a_wrong_login_is_permanent_and_is_not_told(connection: Connection) -> None:
    fire(connection, "oncall@example.com")
    with mail_server(login=("spend", "right")) as server:
        outcome = send_one(connection, channels(smtp=f"smtp://spend:very-wrong@{server.host}"), NOW)
    assert isinstance(outcome, Never) and outcome.reason.startswith("the mail server answered 535")
    assert "very-wrong" not in str(states(connection)) and server.messages == []


def test_nobody_listening_is_tried_again(connection: Connection) -> None:
    fire(connection, "oncall@example.com")
    with mail_server() as server:
        gone = server.url
    assert send_one(connection, channels(smtp=gone), NOW) == Later("network error: ConnectionRefusedError")


def test_without_a_mail_server_the_mail_is_parked_with_the_reason(connection: Connection) -> None:
    fire(connection, "oncall@example.com")
    assert send_one(connection, channels(), NOW) == Never("no mail server: set SPENDSTREAM_SMTP_URL")
