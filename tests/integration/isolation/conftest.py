"""Three tenants with rows in everything there is, on both stores."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.contract.storage.conftest import server as server
from tests.contract.storage.conftest import storage as storage
from tests.integration.query.store import add_tenant, fold, heal_some, insert_raw, random_events

TENANTS = ("alpha", "beta", "gamma")


@dataclass(frozen=True, slots=True)
class Seeded:
    """`dsn` is the owner's; `numbers` tenant_no by tenant."""

    dsn: str
    numbers: dict[str, int]


@pytest.fixture(scope="module")
def seeded(storage: str) -> Seeded:
    now = datetime.now(UTC)
    rng = random.Random(4)
    with psycopg.connect(storage) as conn:
        numbers = {tenant: add_tenant(conn, tenant) for tenant in TENANTS}
        for tenant, number in numbers.items():
            events = random_events(rng, number, now - timedelta(days=3), now, 200)
            for event in events:
                event.values["feature"] = f"{tenant} feature"
            insert_raw(conn, events)
            _seed_rest(conn, tenant, number, now)
        fold(conn)
        heal_some(conn)
        conn.execute("INSERT INTO event_identity SELECT tenant_no, event_key, 1, occurred_at FROM usage_event")
        conn.execute(
            "INSERT INTO units_hour_base (bucket, tenant_no, kafka_partition, feature, provider, model, unit, quantity)"
            " SELECT date_trunc('hour', now()), tenant_no, 0, '', 'pinecone', 'index', 'read_units', 6 FROM tenant"
        )
    return Seeded(storage, numbers)


def _seed_rest(conn: psycopg.Connection, tenant: str, number: int, now: datetime) -> None:
    conn.execute("INSERT INTO agent_label VALUES (%s, 'dexter', %s)", (number, f"{tenant} label"))
    conn.execute("INSERT INTO unpriced_event VALUES ('openai', 'x', '', %s, %s, gen_random_uuid())", (now, number))
    conn.execute("INSERT INTO budget (tenant_id, budget_window, limit_pico_usd) VALUES (%s, 'daily', 1)", (tenant,))
    conn.execute(
        "INSERT INTO spike (rule, tenant_no, dimension, value, window_start, window_end, observed_pico_usd, "
        "usual_pico_usd, evidence, cause, detected_at) "
        "VALUES ('hour', %s, 'feature', 'chat', now(), now(), 1, 1, '{}', '', now())", (number,),
    )  # fmt: skip
    conn.execute(
        "WITH rule AS (INSERT INTO alert_rule (name, alert_type, threshold_cents, tenant_id) "
        "VALUES (%(t)s, 'daily_limit', 1, %(t)s) RETURNING rule_id), "
        "fired AS (INSERT INTO alert (rule_id, tenant_id, series, window_start, threshold, title, summary, payload) "
        "SELECT rule_id, %(t)s, '', now(), '', %(t)s, '', '{}' FROM rule RETURNING alert_id) "
        "INSERT INTO notification (alert_id, channel, target, payload) SELECT alert_id, 'email', 'x', '{}' FROM fired",
        {"t": tenant},
    )
