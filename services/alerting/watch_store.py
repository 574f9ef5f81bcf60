"""Reads what is watched beside spend limits: budgets, calls without a price, silence, how far the pipeline is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row

from services.alerting.rules import BudgetWindow

Connection = psycopg.Connection[Any]
BUDGETS_MAX = 10_000
_MODELS_NAMED = 3
# Silence is only news where there were calls within this.
SILENCE_MAX = timedelta(hours=24)

# As the pages say it: a partition read to its end at some moment is counted up to that moment.
_DATA_THROUGH = """
SELECT CASE WHEN bool_or(through IS NULL) THEN NULL ELSE min(through) END
FROM (
    SELECT greatest(l.stream_through, CASE WHEN p.next_offset >= p.end_offset THEN p.seen_at END) AS through
    FROM ledger AS l FULL JOIN partition_progress AS p USING (topic_id, kafka_partition)
    WHERE topic_id = coalesce((SELECT topic_id FROM partition_progress ORDER BY seen_at DESC LIMIT 1), topic_id)
) AS partition
"""


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """A row of `budget`, with its tenant's number and zone; None and UTC where it is of all tenants."""

    tenant_id: str | None
    tenant_no: int | None
    tz: str
    scope: dict[str, str]
    budget_window: BudgetWindow
    limit_pico_usd: int
    thresholds: list[int]


@dataclass(frozen=True, slots=True)
class Unpriced:
    """A tenant's calls without a price since `start`; `models` are the most frequent, (provider, model, calls)."""

    tenant_id: str
    tenant_no: int
    tz: str
    calls: int
    models: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True, slots=True)
class LastCall:
    """A tenant's last minute with calls within SILENCE_MAX."""

    tenant_id: str
    tenant_no: int
    tz: str
    minute: datetime


def read_budgets(connection: Connection) -> list[BudgetRow]:
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            "SELECT tenant_id, tenant_no, coalesce(tz, 'UTC') AS tz, scope, budget_window, limit_pico_usd, thresholds "
            f"FROM budget LEFT JOIN tenant USING (tenant_id) ORDER BY budget.created_at, budget_id LIMIT {BUDGETS_MAX}"
        )
        return [BudgetRow(**row) for row in cursor]


BOOK_RULE_NAME = "Price Book Alert"
_ACTOR = "spendstream"
_MAKE_BOOK_RULE = (
    "WITH made AS (INSERT INTO alert_rule (name, alert_type) SELECT %(name)s, 'unpriced_usage' "
    "WHERE EXISTS (SELECT FROM price_book_refusal) "
    "AND NOT EXISTS (SELECT FROM alert_rule WHERE alert_type = 'unpriced_usage' AND tenant_id IS NULL) "
    "AND NOT EXISTS (SELECT FROM admin_log WHERE action = 'alert.create' AND actor_key_id = %(actor)s) "
    "RETURNING rule_id) "
    "INSERT INTO admin_log (actor_key_id, actor_name, action, target, detail) "
    "SELECT %(actor)s, 'Spendstream', 'alert.create', rule_id::text, "
    "jsonb_build_object('name', %(name)s::text, 'reason', 'a price book was refused') FROM made"
)


def read_unpriced(connection: Connection, start: datetime, end: datetime) -> list[Unpriced]:
    """Tenants with calls in [start, end) that have no price still."""
    rows = connection.execute(
        "SELECT tenant_id, tenant_no, tz, provider, model, sum(unpriced_events)::bigint AS calls "
        "FROM usage_minute_base JOIN tenant USING (tenant_no) WHERE bucket >= %s AND bucket < %s "
        "GROUP BY 1, 2, 3, 4, 5 HAVING sum(unpriced_events) > 0 ORDER BY tenant_id, calls DESC, provider, model",
        [start, end],
    ).fetchall()
    found: dict[str, Unpriced] = {}
    for tenant_id, tenant_no, tz, provider, model, calls in rows:
        before = found.get(tenant_id, Unpriced(tenant_id, tenant_no, tz, 0, ()))
        models = (*before.models, (provider, model, calls))[:_MODELS_NAMED]
        found[tenant_id] = Unpriced(tenant_id, tenant_no, tz, before.calls + calls, models)
    return list(found.values())


def read_refused_book(connection: Connection) -> tuple[str, datetime, list[str], str] | None:
    """The price book that was refused last, and still is: its file, when, what is wrong, the version that stays."""
    row = connection.execute(
        "SELECT path, refused_at, problems, version_in_force FROM price_book_refusal ORDER BY refused_at DESC LIMIT 1"
    ).fetchone()
    return (row[0], row[1], row[2].splitlines(), row[3]) if row is not None else None


def ensure_book_rule(connection: Connection) -> None:
    """A refused price book is told even where nobody made a rule for it: at the first one, a rule for all tenants is
    made, once and with an entry in the admin log. Who changes, silences or deletes it has the last word."""
    connection.execute(_MAKE_BOOK_RULE, {"name": BOOK_RULE_NAME, "actor": _ACTOR})


def read_last_calls(connection: Connection, now: datetime) -> list[LastCall]:
    """Each tenant's, where it had calls within SILENCE_MAX."""
    rows = connection.execute(
        "SELECT tenant_id, tenant_no, tz, (SELECT max(bucket) FROM usage_minute_base AS u "
        "WHERE u.tenant_no = tenant.tenant_no AND bucket >= %(first)s AND bucket <= %(now)s) AS minute FROM tenant "
        "ORDER BY tenant_id",
        {"first": now - SILENCE_MAX, "now": now},
    ).fetchall()
    return [LastCall(*row) for row in rows if row[3] is not None]


def read_data_through(connection: Connection) -> datetime | None:
    """Up to which moment the stream is counted; None before anything was read."""
    row = connection.execute(_DATA_THROUGH).fetchone()
    return row[0] if row else None
