"""Committed spending, written straight into the minute rollup's table: what a flush leaves behind."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import psycopg

Connection = psycopg.Connection[Any]
# gpt-4o: pico-USD a token.
PROMPT, COMPLETION = 2_500_000, 10_000_000


def make_tenant(connection: Connection, tenant_id: str, tz: str = "UTC") -> int:
    row = connection.execute(
        "INSERT INTO tenant (tenant_id, name, tz) VALUES (%s, %s, %s) RETURNING tenant_no", [tenant_id, tenant_id, tz]
    ).fetchone()
    assert row is not None
    return int(row[0])


def spend(
    connection: Connection,
    tenant_no: int,
    minute: datetime,
    *,
    calls: int = 100,
    prompt: int = 900,
    completion: int = 20,
    feature: str = "chat",
    agent: str = "helper",
    model: str = "gpt-4o",
    partition: int = 0,
    price: int = 1,
) -> None:
    """`calls` calls of `prompt` and `completion` tokens each in one minute."""
    cost = calls * (prompt * PROMPT + completion * COMPLETION) * price
    connection.execute(
        "INSERT INTO usage_minute_base (bucket, tenant_no, kafka_partition, feature, agent_id, provider, model, tier, "
        "service_tier, status, calls, requests, input_uncached, output_text, billed_pico_usd) "
        "VALUES (%s, %s, %s, %s, %s, 'openai', %s, 'standard', 'standard', 'ok', %s, %s, %s, %s, %s)",
        [minute, tenant_no, partition, feature, agent, model, calls, calls, calls * prompt, calls * completion, cost],
    )


def spend_steadily(connection: Connection, tenant_no: int, until: datetime, hours: int = 48, **usual: Any) -> None:  # noqa: ANN401
    """The same minute's spending in each of the `hours` hours before `until`."""
    for age in range(1, hours + 1):
        spend(connection, tenant_no, until - timedelta(hours=age) + timedelta(minutes=17), **usual)
