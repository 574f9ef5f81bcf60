"""Which answers are tried again, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.alerting.delivery import (
    ATTEMPTS_MAX,
    BACKOFF_MAX_SECONDS,
    Later,
    Never,
    Sent,
    mail_outcome,
    next_attempt,
    retry_after_seconds,
    slack_outcome,
    webhook_outcome,
)

NOW = datetime(2026, 10, 7, 12, tzinfo=UTC)


def test_slack_has_it_only_when_it_says_ok() -> None:
    assert slack_outcome(200, "ok", None, NOW) == Sent()
    assert slack_outcome(200, "<html>a proxy's page</html>", None, NOW) == Never(
        "Slack answered 200 <html>a proxy's page</html>"
    )
    assert slack_outcome(204, "", None, NOW) == Never("Slack answered 204")


@pytest.mark.parametrize(
    ("status", "body"), [(403, "invalid_token"), (404, "no_service"), (410, "channel_is_archived"), (302, "")]
)
def test_slacks_permanent_errors_are_not_tried_again(status: int, body: str) -> None:
    assert slack_outcome(status, body, None, NOW) == Never(f"Slack answered {status} {body}".rstrip())


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_passes_is_tried_again(status: int) -> None:
    assert slack_outcome(status, "", "7", NOW) == Later(f"Slack answered {status}", 7.0)
    assert webhook_outcome(status, None, NOW) == Later(f"the webhook answered {status}")


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_a_webhook_has_it_with_any_2xx(status: int) -> None:
    assert webhook_outcome(status, None, NOW) == Sent()


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 410])
def test_a_webhooks_other_answers_are_permanent(status: int) -> None:
    assert isinstance(webhook_outcome(status, None, NOW), Never)


def test_mail_codes_decide() -> None:
    assert isinstance(mail_outcome(451, "try later"), Later)
    assert mail_outcome(550, "no such user") == Never("the mail server answered 550 no such user")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("30", 30.0),
        ("Wed, 07 Oct 2026 12:01:00 GMT", 60.0),
        ("Wed, 07 Oct 2026 11:00:00 GMT", 0.0),
        ("9999999", 3_600.0),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header, NOW) == seconds


def test_the_wait_doubles_up_to_its_ceiling_and_jitter_takes_at_most_half() -> None:
    def wait(attempts: int, random: float) -> float:
        due = next_attempt(Later("x"), attempts, NOW, lambda: random)
        assert due is not None
        return (due - NOW).total_seconds()

    assert [wait(attempts, 1.0) for attempts in (1, 2, 3, 4)] == [1.0, 2.0, 4.0, 8.0]
    assert wait(3, 0.0) == 2.0
    assert wait(20, 1.0) == BACKOFF_MAX_SECONDS


def test_the_channels_own_retry_after_is_kept() -> None:
    assert next_attempt(Later("x", 120.0), 1, NOW, lambda: 1.0) == NOW + timedelta(seconds=120)


def test_attempts_end() -> None:
    assert next_attempt(Later("x"), ATTEMPTS_MAX - 1, NOW, lambda: 1.0) is not None
    assert next_attempt(Later("x"), ATTEMPTS_MAX, NOW, lambda: 1.0) is None
