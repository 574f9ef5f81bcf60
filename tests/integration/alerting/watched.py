"""Rules, spikes and pending notifications in a real database."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from services.alerting.delivery import Outcome
from services.alerting.outbox import send_next
from services.alerting.senders import Channels, Sender, make_client
from services.processor.spike_store import Spike, detect, open_hours
from tests.integration.spikes.spending import Connection, make_tenant, spend, spend_steadily

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def empty(connection: Connection) -> None:
    """No rules, alerts, spikes, spending or tenants."""
    connection.execute("DELETE FROM alert_rule")
    connection.execute("TRUNCATE spike, usage_minute_base, dirty_bucket, budget, api_key, tenant CASCADE")


def add_rule(connection: Connection, **columns: Any) -> uuid.UUID:  # noqa: ANN401
    """A row of `alert_rule`; by default a spike rule made long ago."""
    values = {
        "name": "Cost Spike Alert",
        "alert_type": "cost_spike",
        "threshold_percent": 200 if columns.get("threshold_cents") is None else None,
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
        **columns,
    }
    if "scope" in values:
        values["scope"] = Jsonb(values["scope"])
    names, places = ", ".join(values), ", ".join(["%s"] * len(values))
    row = connection.execute(
        f"INSERT INTO alert_rule ({names}) VALUES ({places}) RETURNING rule_id", list(values.values())
    ).fetchone()
    assert row is not None
    return uuid.UUID(str(row[0]))


def add_spike(connection: Connection, tenant_id: str, now: datetime, tz: str = "UTC") -> list[Spike]:
    """Two days of usual hours, then one whose prompts grew: detected by the processor's own code."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    tenant_no = make_tenant(connection, tenant_id, tz)
    spend_steadily(connection, tenant_no, hour, calls=400)
    spend(connection, tenant_no, hour, calls=400, prompt=3_700)
    return detect(connection, open_hours(connection, now), now)


def add_notifications(
    connection: Connection,
    count: int,
    now: datetime,
    channel: str = "slack",
    target: str = "default",
    apart_seconds: float = 0.0,
) -> list[str]:
    """Pending ones of one alert, made one after the other; their texts are their names."""
    rule_id = add_rule(connection)
    row = connection.execute(
        "INSERT INTO alert (rule_id, series, window_start, threshold, title, summary, payload) "
        "VALUES (%s, 'all', %s, '1', 't', 's', '{}') RETURNING alert_id",
        [rule_id, now],
    ).fetchone()
    assert row is not None
    texts = [f"message {number} to {target}, {uuid.uuid4().hex[:6]}" for number in range(count)]
    for number, text in enumerate(texts):
        made = soon(now, number * apart_seconds)
        connection.execute(
            "INSERT INTO notification (alert_id, channel, target, payload, next_attempt_at, created_at) "
            "VALUES (%s, %s, %s, %s, %s, %s)",
            [row[0], channel, target, Jsonb({"text": text}), made, made],
        )
    return texts


def states(connection: Connection) -> list[tuple[str, str, int, str | None]]:
    """Channel, state, attempts and last error of each notification, oldest first."""
    return connection.execute(
        "SELECT channel, state, attempts, last_error FROM notification ORDER BY created_at, channel"
    ).fetchall()


def channels(slack: str = "", smtp: str = "", private: frozenset[str] | None = None) -> Channels:
    return Channels(slack, SECRET, private, smtp, "spendstream@example.com")


@contextmanager
def a_sender(given: Channels) -> Iterator[Sender]:
    with make_client() as client:
        yield Sender(given, client, lambda: datetime.now(UTC))


def send_one(connection: Connection, given: Channels, now: datetime) -> Outcome | None:
    """One attempt at `now`; the wait after it has no jitter taken off."""
    with a_sender(given) as sender:
        return send_next(connection, lambda: now, sender.send, lambda: 1.0)


def connect(dsn: str) -> psycopg.Connection[Any]:
    return psycopg.connect(dsn, autocommit=True)


def soon(now: datetime, seconds: float) -> datetime:
    return now + timedelta(seconds=seconds)
