"""The outbox: a notification is locked while it is sent, so two workers never send one; a lock dies with its worker.

A channel is one address: a rule's webhook, the default one, a mailbox. Its messages leave one after the other, oldest
first and not faster than it takes them. One that is tried again holds up those behind it for ten minutes, so that no
end comes before its beginning; after that it is tried on beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from services.alerting import metrics
from services.alerting.delivery import Later, Never, Outcome, Sent, next_attempt
from services.alerting.rules import Channel

Connection = psycopg.Connection[Any]
# Slack takes about one message a second for each webhook; nobody reads faster.
GAP_SECONDS = 1.0
HOLDS_UP = timedelta(minutes=10)
_CHANNEL = (
    "(CASE WHEN n.channel = 'email' OR n.target <> 'rule' THEN n.channel || ' ' || n.target "
    "ELSE n.channel || ' ' || alert.rule_id END)"
)
# Of each channel that may be sent to now, or of one, the message whose turn it is.
_TURNS = f"""
WITH waiting AS (
    SELECT notification_id, n.created_at, next_attempt_at, {_CHANNEL} AS address,
        coalesce(bool_or(next_attempt_at > %(now)s AND n.created_at > %(held_since)s) OVER (
            PARTITION BY {_CHANNEL} ORDER BY n.created_at, notification_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), false) AS is_held
    FROM notification AS n JOIN alert USING (alert_id) WHERE n.state = 'pending'
), paced AS (
    SELECT DISTINCT {_CHANNEL} AS address FROM notification AS n JOIN alert USING (alert_id)
    WHERE n.sent_at > %(paced_since)s
), turn AS (
    SELECT DISTINCT ON (address) address, notification_id, created_at FROM waiting
    WHERE next_attempt_at <= %(now)s AND NOT is_held AND address NOT IN (SELECT address FROM paced)
    AND (%(address)s::text IS NULL OR address = %(address)s)
    ORDER BY address, created_at, notification_id
)
SELECT address, notification_id FROM turn ORDER BY created_at, notification_id LIMIT 100
"""
# The first key of the locks of channels; the second is a hash of the address.
_CHANNEL_LOCKS = 720_312


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
    # Which channel it is, as `_CHANNEL` says.
    place: str
    # Why the channel is parked, if it is.
    parked: str | None = None

    def __repr__(self) -> str:
        return f"Notification({self.notification_id}, {self.channel})"


def send_next(
    connection: Connection,
    now: Callable[[], datetime],
    send: Callable[[Notification], Outcome],
    random: Callable[[], float],
    gap_seconds: float = GAP_SECONDS,
) -> Outcome | None:
    """Sends the notification that has waited longest and records the outcome; None where none is due.

    `gap_seconds` lie between two messages to one channel.

    The row stays locked in one transaction from the claim to the record. A worker killed after sending and before
    COMMIT leaves it pending: that one is sent a second time, and no other.
    """
    with connection.transaction():
        notification = _claim(connection, now(), timedelta(seconds=gap_seconds))
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


def _claim(connection: Connection, now: datetime, gap: timedelta) -> Notification | None:
    """The first whose channel no other worker is sending to; its row and its channel are locked."""
    values = {"now": now, "held_since": now - HOLDS_UP, "paced_since": now - gap, "address": None}
    for address, _ in connection.execute(_TURNS.encode(), values).fetchall():
        locked = connection.execute(
            "SELECT pg_try_advisory_xact_lock(%s, hashtext(%s))", [_CHANNEL_LOCKS, address]
        ).fetchone()
        if locked is None or not locked[0]:
            continue
        # Again under the lock: another worker may just have sent it.
        turn = connection.execute(_TURNS.encode(), {**values, "address": address}).fetchone()
        notification = _locked(connection, turn[1]) if turn is not None else None
        if notification is not None:
            return notification
    return None


def _locked(connection: Connection, notification_id: UUID) -> Notification | None:
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            f"SELECT notification_id, rule_id, channel, target, n.payload, attempts, {_CHANNEL} AS place, "
            # A changed rule and a test are new tries.
            "CASE WHEN r.updated_at <= p.parked_at AND alert.series <> 'test' THEN p.reason END AS parked, "
            "CASE WHEN target <> 'rule' THEN '' WHEN channel = 'slack' THEN coalesce(slack_webhook, '') "
            "ELSE coalesce(webhook_url, '') END AS address "
            "FROM notification AS n JOIN alert USING (alert_id) JOIN alert_rule AS r USING (rule_id) "
            "LEFT JOIN parked_channel AS p USING (rule_id, channel, target) "
            "WHERE n.state = 'pending' AND notification_id = %s FOR UPDATE OF n SKIP LOCKED",
            [notification_id],
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
    if isinstance(outcome, Later) and outcome.after_seconds is not None:
        # The channel wants to be left alone, not this message.
        connection.execute(
            "UPDATE notification AS n SET next_attempt_at = greatest(next_attempt_at, %s) FROM alert "
            f"WHERE alert.alert_id = n.alert_id AND n.state = 'pending' AND {_CHANNEL} = %s",
            [now + timedelta(seconds=outcome.after_seconds), notification.place],
        )
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
