"""Rules and spikes out of the database, alerts and their notifications into it: one alert per key, told in one
transaction with its outbox rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from services.alerting.rules import AlertKey, Channel, Firing, Rule, SpikeRow
from services.alerting.spend_store import spike_costs
from services.runtime.sealing import Sealer, is_sealed

Connection = psycopg.Connection[Any]
# A spike found while no worker ran is still told within this.
SPIKE_AGE_MAX = timedelta(hours=24)
RULES_MAX, SPIKES_MAX = 10_000, 1_000


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A notification to be: `target` is `rule`, `default` or a mail address, never a webhook's address."""

    channel: Channel
    target: str
    payload: dict[str, Any]


def read_rules(connection: Connection) -> list[Rule]:
    """Active rules."""
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            "SELECT rule_id, alert_rule.name, alert_type, threshold_cents, threshold_percent, alert_rule.tenant_id, "
            "tenant_no, coalesce(tz, 'UTC') AS tz, scope, notification_frequency AS frequency, silenced_until, "
            "alert_rule.created_at, notification_emails AS emails, coalesce(slack_webhook, '') <> '' AS has_slack, "
            "coalesce(webhook_url, '') <> '' AS has_webhook "
            "FROM alert_rule LEFT JOIN tenant USING (tenant_id) WHERE is_active "
            f"ORDER BY alert_rule.created_at, rule_id LIMIT {RULES_MAX}"
        )
        return [Rule(**{**row, "emails": tuple(row["emails"])}) for row in cursor]


def read_spikes(connection: Connection, now: datetime, *, grown: bool) -> list[SpikeRow]:
    """Spikes of the last day; with `grown`, also what their hour costs by now (a query for each).

    Where an hour and its last seconds were found at once, the hour comes first: it is told, and says more.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            "SELECT spike_id, rule, tenant_no, tenant_id, tz, dimension, value, window_start, window_end, "
            "observed_pico_usd, usual_pico_usd, cause, evidence, detected_at FROM spike JOIN tenant USING (tenant_no) "
            f"WHERE detected_at > %s ORDER BY detected_at, rule, spike_id LIMIT {SPIKES_MAX}",
            [now - SPIKE_AGE_MAX],
        )
        rows = cursor.fetchall()
    costs = spike_costs(connection, [row for row in rows if row["rule"] == "hour_over_usual"]) if grown else {}
    return [_spike(row, costs.get(row["spike_id"]) or row["observed_pico_usd"]) for row in rows]


def _spike(row: dict[str, Any], current_pico_usd: int) -> SpikeRow:
    return SpikeRow(**{name: row[name] for name in row if name != "tenant_no"}, current_pico_usd=current_pico_usd)


def read_known(connection: Connection, firings: Sequence[Firing]) -> frozenset[AlertKey]:
    """Which of the firings' keys are alerts already."""
    if not firings:
        return frozenset()
    rows = connection.execute(
        "SELECT rule_id, series, window_start, threshold FROM alert "
        "WHERE (rule_id, series, window_start, threshold) IN "
        "(SELECT * FROM unnest(%s::uuid[], %s::text[], %s::timestamptz[], %s::text[]))",
        [list(column) for column in zip(*(firing.key for firing in firings), strict=True)],
    ).fetchall()
    return frozenset((rule_id, series, start, threshold) for rule_id, series, start, threshold in rows)


def record(
    connection: Connection, firing: Firing, words: tuple[str, str], payload: dict[str, Any],
    outgoing: Iterable[Outgoing], now: datetime,
) -> UUID | None:  # fmt: skip
    """Stores the alert and what is to be sent, or nothing where another worker was first (None).

    `words` are title and summary. One transaction; `connection` must not be inside one.
    """
    with connection.transaction():
        row = connection.execute(
            "INSERT INTO alert "
            "(rule_id, tenant_id, series, window_start, threshold, title, summary, payload, fired_at) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) "
            "ON CONFLICT (rule_id, series, window_start, threshold) DO NOTHING RETURNING alert_id",
            [
                firing.rule.rule_id, firing.tenant_id, firing.series, firing.occasion, firing.threshold, *words,
                Jsonb(payload), now,
            ],
        ).fetchone()  # fmt: skip
        if row is None:
            return None
        _queue(connection, row[0], outgoing, now)
        return UUID(str(row[0]))


def read_going_on(connection: Connection) -> dict[tuple[UUID, str, str], datetime]:
    """The alerts that fire now, with the end of their window; what has none goes on for ever."""
    rows = connection.execute(
        "SELECT rule_id, series, threshold, "
        "max(coalesce((payload ->> 'window_end')::timestamptz, '9999-01-01Z'::timestamptz)) "
        "FROM alert WHERE state = 'firing' GROUP BY 1, 2, 3"
    ).fetchall()
    return {(rule_id, series, threshold): until for rule_id, series, threshold, until in rows}


def go_on(connection: Connection, firing: Firing, until: datetime) -> None:
    """The alert that fires for the same series lasts until then: its incident goes on."""
    with connection.transaction():
        connection.execute(
            "UPDATE alert SET payload = jsonb_set(payload, '{window_end}', to_jsonb(%s::text)) "
            "WHERE state = 'firing' AND (rule_id, series, threshold) = (%s, %s, %s) "
            "AND (payload ->> 'window_end')::timestamptz < %s",
            [until.isoformat(), firing.rule.rule_id, firing.series, firing.threshold, until],
        )


@dataclass(frozen=True, slots=True)
class Told:
    """An alert that fires, and where it was told."""

    alert_id: UUID
    rule_id: UUID
    alert_type: str
    series: str
    title: str
    payload: dict[str, Any]
    channels: tuple[tuple[Channel, str], ...]


def read_told(connection: Connection, alert_types: Sequence[str], ended_before: datetime | None) -> list[Told]:
    """Alerts of these types that fire; with `ended_before`, only those whose window ended by then."""
    rows = connection.execute(
        "SELECT alert_id, rule_id, alert_type, series, title, payload, coalesce((SELECT jsonb_agg(DISTINCT "
        "jsonb_build_array(channel, target)) FROM notification n WHERE n.alert_id = a.alert_id), '[]') "
        "FROM alert a JOIN alert_rule USING (rule_id) WHERE a.state = 'firing' AND alert_type = ANY(%s) "
        "AND (%s::timestamptz IS NULL OR (payload ->> 'window_end')::timestamptz <= %s) ORDER BY fired_at LIMIT 1000",
        [list(alert_types), ended_before, ended_before],
    ).fetchall()
    return [
        Told(
            alert_id, rule_id, alert_type, series, title, payload, tuple((channel, target) for channel, target in sent)
        )
        for alert_id, rule_id, alert_type, series, title, payload, sent in rows
    ]


def resolve(connection: Connection, told: Told, outgoing: Iterable[Outgoing], now: datetime) -> bool:
    """Ends an alert and says so where it was told; False where another worker was first."""
    with connection.transaction():
        ended = connection.execute(
            "UPDATE alert SET state = 'resolved', resolved_at = %s WHERE alert_id = %s AND state = 'firing'",
            [now, told.alert_id],
        ).rowcount
        if ended:
            _queue(connection, told.alert_id, outgoing, now)
    return bool(ended)


def resolve_ended(connection: Connection, now: datetime) -> int:
    """Limits, budgets and days whose window is over are over too, which is no news; how many."""
    with connection.transaction():
        return connection.execute(
            "UPDATE alert SET state = 'resolved', resolved_at = %(now)s FROM alert_rule AS r "
            "WHERE r.rule_id = alert.rule_id AND r.alert_type <> 'cost_spike' "
            "AND state = 'firing' AND (payload ->> 'window_end')::timestamptz <= %(now)s",
            {"now": now},
        ).rowcount


def _queue(connection: Connection, alert_id: UUID, outgoing: Iterable[Outgoing], now: datetime) -> None:
    for one in outgoing:
        connection.execute(
            "INSERT INTO notification (alert_id, channel, target, payload, next_attempt_at, created_at) "
            "VALUES (%s, %s, %s, %s, %s, %s)",
            [alert_id, one.channel, one.target, Jsonb(one.payload), now, now],
        )


def seal_plain(connection: Connection, sealer: Sealer) -> int:
    """Seals the addresses that are stored as they are, from before there was a key; how many rules had one."""
    if not sealer.has_key:
        return 0
    with connection.transaction():
        rows = connection.execute(
            "SELECT rule_id, slack_webhook, webhook_url FROM alert_rule "
            "WHERE slack_webhook IS NOT NULL OR webhook_url IS NOT NULL FOR UPDATE"
        ).fetchall()
        changed = 0
        for rule_id, *addresses in rows:
            sealed = [sealer.seal(one) if one and not is_sealed(one) else one for one in addresses]
            if sealed != addresses:
                changed += connection.execute(
                    "UPDATE alert_rule SET slack_webhook = %s, webhook_url = %s WHERE rule_id = %s", [*sealed, rule_id]
                ).rowcount
    return changed
