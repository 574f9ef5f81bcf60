"""What the answer of a channel means, and when to try again. Pure.

Network errors, 429 and 5xx pass; anything else will be the same next time, so the notification is parked with the
reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

# With the back-off some four hours.
ATTEMPTS_MAX = 24
BACKOFF_FIRST_SECONDS = 1.0
BACKOFF_MAX_SECONDS = 900.0
RETRY_AFTER_MAX_SECONDS = 3_600.0
REASON_MAX = 200
_TOO_MANY = 429
# The receiver dislikes this message; the next one may please.
_MESSAGE_REFUSED = frozenset({400, 413, 422})


@dataclass(frozen=True, slots=True)
class Sent:
    """The channel has it."""


@dataclass(frozen=True, slots=True)
class Later:
    """It may work later; `after_seconds` where the channel said when."""

    reason: str
    after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Never:
    """It won't work however often it is tried. `parks`: nor will anything else, so the channel is left alone."""

    reason: str
    parks: bool = True


Outcome = Sent | Later | Never


def slack_outcome(status: int, body: str, retry_after: str | None, now: datetime) -> Outcome:
    """Slack answers the plain text `ok`; anything else failed and says why in words."""
    if status == 200 and body.strip() == "ok":
        return Sent()
    return _failure(status, f"Slack answered {status} {_short(body)}".rstrip(), retry_after, now)


def webhook_outcome(status: int, retry_after: str | None, now: datetime) -> Outcome:
    """Any 2xx has it. What the receiver says otherwise is not kept: it isn't ours to show."""
    if 200 <= status < 300:
        return Sent()
    return _failure(status, f"the webhook answered {status}", retry_after, now)


def mail_outcome(code: int, message: str) -> Outcome:
    """SMTP: 4xx passes, 5xx stays."""
    reason = f"the mail server answered {code} {_short(message)}".rstrip()
    return Later(reason) if 400 <= code < 500 else Never(reason)


def retry_after_seconds(header: str | None, now: datetime) -> float | None:
    """`Retry-After` as seconds or as a date; None if it is neither. At most RETRY_AFTER_MAX_SECONDS."""
    if not header:
        return None
    try:
        seconds = float(header) if header.strip().isdigit() else (parsedate_to_datetime(header) - now).total_seconds()
    except (TypeError, ValueError):
        return None
    return min(max(seconds, 0.0), RETRY_AFTER_MAX_SECONDS)


def next_attempt(outcome: Later, attempts: int, now: datetime, random: Callable[[], float]) -> datetime | None:
    """When to try again after `attempts` attempts, None when they are used up. `random` gives 0 to 1.

    Exponential with half of it jitter, so that workers and notifications that failed together don't come back together;
    never before the channel's own `Retry-After`.
    """
    if attempts >= ATTEMPTS_MAX:
        return None
    ceiling = min(BACKOFF_FIRST_SECONDS * 2 ** (attempts - 1), BACKOFF_MAX_SECONDS)
    wait = ceiling * (0.5 + random() / 2)
    if outcome.after_seconds is not None:
        wait = max(outcome.after_seconds, wait)
    return now + timedelta(seconds=wait)


def _failure(status: int, reason: str, retry_after: str | None, now: datetime) -> Outcome:
    if status == _TOO_MANY or status >= 500:
        return Later(reason, retry_after_seconds(retry_after, now))
    return Never(reason, status not in _MESSAGE_REFUSED)


def _short(text: str) -> str:
    return " ".join(text.split())[:REASON_MAX]
