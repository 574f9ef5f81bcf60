"""The outbox: a notification is locked while it is sent, so two workers never send one; a lock dies with its worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from services.alerting import metrics
from services.alerting.delivery import Later, Never, Outcome, Sent, next_attempt
from services.alerting.rules import Channel

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Notification:
    """One to send. `address` is the rule's webhook: a secret, empty where `target` is not `rule`."""

    notification_id: UUID
    channel: Channel
    target: str
    payload: dict[str, Any]
    attempts: int
    address: str
    rule_id: UUID
    # Why the channel is parked, if it is.
    parked: str | None = None

    def __repr__(self) -> str:
        return f"Notification({self.notification_id}, {self.channel})"


def send_next(
    connection: Connection,
    now: Callable[[], datetime],
    send: Callable[[Notification], Outcome],
    random: Callable[[], float],
) -> Outcome | None:
    """Sends the notification that has waited longest and records the outcome; None where none is due.

    The row stays locked in one transaction from the claim to the record. A worker killed after sending and before
    COMMIT leaves it pending: that one is sent a second time, and no other.
    """
    with connection.transaction():
        notification = _claim(connection, now())
        if notification is None:
            return None
        if notification.parked is not None:
            outcome: Outcome = Never(f"parked: {notification.parked}")
        else:
            outcome = send(notification)
        _record(connection, notification, outcome, now(), random)
    metrics.NOTIFICATIONS.labels(notification.channel, type(outcome).__name__.lower()).inc()
    return outcome


def pending(connection: Connection) -> int:
    """How many wait, locked ones too."""
    with connection.transaction():
        row = connection.execute("SELECT count(*) FROM notification WHERE state = 'pending'").fetchone()
    assert row is not None
    return int(row[0])


def _claim(connection: Connection, now: datetime) -> Notification | None:
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            "SELECT notification_id, rule_id, channel, target, n.payload, attempts, "
            "CASE WHEN r.updated_at <= p.parked_at AND alert.series <> 'test' THEN p.reason END AS parked, "
            "CASE WHEN target <> 'rule' THEN '' WHEN channel = 'slack' THEN coalesce(slack_webhook, '') "
            "ELSE coalesce(webhook_url, '') END AS address "
            "FROM notification AS n JOIN alert USING (alert_id) JOIN alert_rule AS r USING (rule_id) "
            # A changed rule and a test are new tries.
            "LEFT JOIN parked_channel AS p USING (rule_id, channel, target) "
            "WHERE n.state = 'pending' AND next_attempt_at <= %s "
            "ORDER BY next_attempt_at, n.created_at LIMIT 1 FOR UPDATE OF n SKIP LOCKED",
            [now],
        )
        row = cursor.fetchone()
    return None if row is None else Notification(**row)


def _record(
    connection: Connection, notification: Notification, outcome: Outcome, now: datetime, random: Callable[[], float]
) -> None:
    attempts = notification.attempts + 1
    state, error, again = "sent", None if isinstance(outcome, Sent) else outcome.reason, now
    if isinstance(outcome, Never):
        state = "failed" if notification.parked is None else "parked"
    elif isinstance(outcome, Later):
        due = next_attempt(outcome, attempts, now, random)
        state, again = ("failed", now) if due is None else ("pending", due)
        if due is None:
            error = f"gave up after {attempts} attempts: {outcome.reason}"
    _park(connection, notification, outcome, now)
    connection.execute(
        "UPDATE notification SET state = %s, attempts = %s, sent_at = %s, last_error = %s, next_attempt_at = %s "
        "WHERE notification_id = %s",
        [state, attempts, now if state == "sent" else None, error, again, notification.notification_id],
    )


def _park(connection: Connection, notification: Notification, outcome: Outcome, now: datetime) -> None:
    """A channel whose error won't pass is left alone; one that takes a message is back."""
    key = [notification.rule_id, notification.channel, notification.target]
    if isinstance(outcome, Sent):
        connection.execute("DELETE FROM parked_channel WHERE (rule_id, channel, target) = (%s, %s, %s)", key)
    elif isinstance(outcome, Never) and outcome.parks and notification.parked is None:
        connection.execute(
            "INSERT INTO parked_channel (rule_id, channel, target, reason, parked_at) VALUES (%s, %s, %s, %s, %s) "
            "ON CONFLICT (rule_id, channel, target) DO UPDATE SET reason = EXCLUDED.reason, "
            "parked_at = EXCLUDED.parked_at",
            [*key, outcome.reason, now],
        )
