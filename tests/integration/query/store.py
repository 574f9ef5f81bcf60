"""A small store of made-up events: raw rows in, rollups folded by plain SQL that shares nothing with the product."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import psycopg

from deploy.timescale.rollup_ddl import refresh_plain
from services.contracts.rollups import FAMILIES, LEVEL_SECONDS

USAGE_SUMS = """count(*), count(*) FILTER (WHERE attempt = 1), count(*) FILTER (WHERE status <> 'ok'),
    count(*) FILTER (WHERE cost_pico_usd IS NULL AND NOT healed),
    count(*) FILTER (WHERE received_at - occurred_at > interval '10 min')"""
MONEY_SUMS = """sum(coalesce(cost_pico_usd, 0)), sum(delta),
    coalesce(sum(coalesce(cost_pico_usd, 0) + delta) FILTER (WHERE status <> 'ok' OR superseded), 0)"""
# Raw events with what was corrected, as an oracle reads them.
CORRECTED = """(SELECT e.*,
    (SELECT coalesce(sum(delta_pico_usd), 0) FROM cost_adjustment AS c WHERE c.event_key = e.event_key) AS delta,
    EXISTS (SELECT FROM cost_adjustment AS c WHERE c.event_key = e.event_key AND c.heals_unpriced) AS healed
    FROM usage_event AS e) AS event"""
CLASSES = """sum(input_uncached), sum(cache_read), sum(cache_write_5m), sum(cache_write_1h), sum(output_text),
    sum(output_reasoning), sum(input_audio), sum(output_audio), sum(input_image), sum(output_image)"""
PROMPT = "sum(input_uncached + cache_read + cache_write_5m + cache_write_1h + input_audio + input_image)"
COMPLETION = "sum(output_text + output_reasoning + output_audio + output_image)"
USAGE_COLUMNS = """calls, requests, errors, unpriced_events, late_events, retry_count, cache_hits, latency_sum_ms,
    latency_count, input_uncached, cache_read, cache_write_5m, cache_write_1h, output_text, output_reasoning,
    input_audio, output_audio, input_image, output_image, billed_pico_usd, adjustment_pico_usd, wasted_pico_usd,
    response_cache_saved_pico_usd, prompt_cache_saved_pico_usd"""
NARROW_COLUMNS = """calls, requests, errors, unpriced_events, late_events, prompt_tokens, completion_tokens,
    billed_pico_usd, adjustment_pico_usd, wasted_pico_usd"""


@dataclass
class Event:
    """One call; what is left out has a plain default."""

    occurred_at: datetime
    tenant_no: int
    cost_pico_usd: int | None = 1_000
    late_seconds: int = 1
    values: dict[str, Any] = field(default_factory=dict)


def random_events(rng: random.Random, tenant_no: int, start: datetime, end: datetime, count: int) -> list[Event]:
    """Seeded events spread over [start, end)."""
    span = (end - start) // timedelta(microseconds=1)
    return [_random_event(rng, tenant_no, start + timedelta(microseconds=rng.randrange(span))) for _ in range(count)]


def _random_event(rng: random.Random, tenant_no: int, at: datetime) -> Event:
    values: dict[str, Any] = {
        "feature": rng.choice(["chat", "rag", ""]),
        "agent_id": rng.choice(["dexter", "cassie", ""]),
        "provider": rng.choice(["openai", "anthropic"]),
        "model": rng.choice(["gpt-4o", "claude"]),
        "tier": rng.choice(["cheap", "standard", ""]),
        "service_tier": rng.choice(["", "batch"]),
        "status": rng.choice(["ok", "ok", "ok", "error", "timeout"]),
        "superseded": rng.random() < 0.1,
        "customer_id": rng.choice(["alice", "bob", ""]),
        "user_id": rng.choice(["u1", "u2"]),
        "channel": rng.choice(["slack", "api"]),
        "region": rng.choice(["us", ""]),
        "prompt_template_id": rng.choice(["t1", ""]),
        "attempt": rng.choice([1, 1, 2]),
        "retry_count": rng.randrange(3),
        "latency_ms": rng.choice([None, rng.randrange(5_000)]),
        "cache_hit": rng.random() < 0.1,
        "input_uncached": rng.randrange(5_000),
        "cache_read": rng.randrange(500),
        "output_text": rng.randrange(900),
        "output_reasoning": rng.randrange(90),
        "request_id": f"req-{rng.randrange(50)}",
        "run_id": f"run-{rng.randrange(20)}",
        "section_path": rng.choice(["agent:dexter/tool:search", "agent:dexter/retry:1", ""]),
        "response_cache_saved_pico_usd": rng.randrange(100),
        "prompt_cache_saved_pico_usd": rng.randrange(100),
    }
    cost = None if rng.random() < 0.05 else rng.randrange(10**13)
    return Event(at, tenant_no, cost, rng.choice([1, 1, 1, 3_600]), values)


_TEXT = (
    "provider",
    "model",
    "feature",
    "agent_id",
    "section_path",
    "run_id",
    "request_id",
    "customer_id",
    "user_id",
    "channel",
    "region",
    "service_tier",
    "operation",
    "status",
    "error_type",
    "prompt_template_id",
    "prompt_template_version",
    "source",
    "reported_cost_usd",
    "tier",
    "price_entry",
    "price_book_version",
)
_COUNTS = (
    "retry_count",
    "input_uncached",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "output_text",
    "output_reasoning",
    "input_audio",
    "output_audio",
    "input_image",
    "output_image",
    "response_cache_saved_pico_usd",
    "prompt_cache_saved_pico_usd",
)
_FLAGS = (
    "superseded",
    "cache_hit",
    "streaming",
    "tokens_estimated",
)
_DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(_TEXT, ""),
    **dict.fromkeys(_COUNTS, 0),
    **dict.fromkeys(_FLAGS, False),
    "status": "ok",
    "attempt": 1,
    "latency_ms": None,
    "provider": "openai",
    "model": "gpt-4o",
}


def add_tenant(conn: psycopg.Connection[Any], tenant_id: str, tz: str = "UTC") -> int:
    row = conn.execute(
        "INSERT INTO tenant (tenant_id, name, tz) VALUES (%s, %s, %s) RETURNING tenant_no", (tenant_id, tenant_id, tz)
    ).fetchone()
    assert row is not None
    return int(row[0])


def insert_raw(conn: psycopg.Connection[Any], events: list[Event], partition: int = 0) -> None:
    """Raw rows only."""
    columns = ["occurred_at", "received_at", "tenant_no", "cost_pico_usd", "event_key", "event_id", "kafka_partition"]
    columns += ["kafka_offset", *_DEFAULTS]
    with conn.cursor() as cursor, cursor.copy(f"COPY usage_event ({', '.join(columns)}) FROM STDIN") as copy:
        for offset, event in enumerate(events):
            key = uuid.uuid4()
            received = event.occurred_at + timedelta(seconds=event.late_seconds)
            head = [
                event.occurred_at,
                received,
                event.tenant_no,
                event.cost_pico_usd,
                key,
                str(key),
                partition + offset % 2,
                offset,
            ]
            copy.write_row([*head, *({**_DEFAULTS, **event.values}.values())])


def fold(conn: psycopg.Connection[Any], where: str = "true") -> None:
    """Base rollups and runs from raw rows."""
    usage = "feature, agent_id, provider, model, tier, service_tier, status"
    conn.execute(
        f"INSERT INTO usage_minute_base (bucket, tenant_no, kafka_partition, {usage}, {USAGE_COLUMNS}) "
        f"SELECT date_trunc('minute', occurred_at, 'UTC'), tenant_no, kafka_partition, {usage}, {USAGE_SUMS}, "
        "sum(retry_count), count(*) FILTER (WHERE cache_hit), coalesce(sum(latency_ms), 0), count(latency_ms), "
        f"{CLASSES}, {MONEY_SUMS}, sum(response_cache_saved_pico_usd), sum(prompt_cache_saved_pico_usd) "
        f"FROM {CORRECTED} WHERE {where} GROUP BY 1, 2, 3, {usage}"
    )
    for family, dims in (
        ("customer", "customer_id, user_id, model"),
        ("channel", "channel"),
        ("region", "region, prompt_template_id"),
    ):
        conn.execute(
            f"INSERT INTO {family}_hour_base (bucket, tenant_no, kafka_partition, {dims}, {NARROW_COLUMNS}) "
            f"SELECT date_trunc('hour', occurred_at, 'UTC'), tenant_no, kafka_partition, {dims}, {USAGE_SUMS}, "
            f"{PROMPT}, {COMPLETION}, {MONEY_SUMS} FROM {CORRECTED} WHERE {where} GROUP BY 1, 2, 3, {dims}"
        )
    bucket = "CASE WHEN latency_ms <= 1 THEN 0 ELSE least(96, ceil(4 * log(2, latency_ms) - 1e-9)) END"
    conn.execute(
        "INSERT INTO latency_hour_base (bucket, tenant_no, kafka_partition, feature, model, latency_bucket, calls) "
        f"SELECT date_trunc('hour', occurred_at, 'UTC'), tenant_no, kafka_partition, feature, model, {bucket}, "
        f"count(*) "
        f"FROM {CORRECTED} WHERE latency_ms IS NOT NULL AND {where} GROUP BY 1, 2, 3, 4, 5, 6"
    )
    conn.execute(
        "INSERT INTO run_base (tenant_no, run_id, kafka_partition, agent_id, started_at, ended_at, calls, "
        "unpriced_events, billed_pico_usd) SELECT tenant_no, run_id, kafka_partition, "
        "(array_agg(agent_id ORDER BY occurred_at))[1], min(occurred_at), max(occurred_at), count(*), "
        "count(*) FILTER (WHERE cost_pico_usd IS NULL), sum(coalesce(cost_pico_usd, 0)) "
        f"FROM {CORRECTED} WHERE run_id <> '' AND {where} GROUP BY 1, 2, 3 ON CONFLICT DO NOTHING"
    )


def heal_some(conn: psycopg.Connection[Any]) -> None:
    """Every other unpriced event gets its price afterwards, one call of ten a correction."""
    conn.execute(
        "INSERT INTO cost_adjustment (tenant_no, event_key, occurred_at, delta_pico_usd, heals_unpriced, price_entry, "
        "price_book_version, reason) SELECT tenant_no, event_key, occurred_at, 1234567 + kafka_offset, "
        "cost_pico_usd IS NULL, '', '', 'test' FROM usage_event "
        "WHERE (cost_pico_usd IS NULL AND kafka_offset % 2 = 0) OR (cost_pico_usd > 0 AND kafka_offset % 10 = 0)"
    )


def materialize(conn: psycopg.Connection[Any], start: datetime, end: datetime) -> None:
    """Fills the levels above the base, on either store; what is folded later leaves them stale. Commits."""
    timescale = conn.execute("SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'").fetchone() != (0,)
    conn.commit()
    conn.autocommit = True
    for rollup in FAMILIES:
        for level in rollup.built_levels:
            if timescale:
                conn.execute(f"CALL refresh_continuous_aggregate('{rollup.view(level)}', '{start}', '{end}')")
            else:
                step = timedelta(seconds=LEVEL_SECONDS[level])
                buckets = [start + step * n for n in range((end - start) // step)]
                for statement in refresh_plain(rollup, level):
                    conn.execute(statement.encode(), {"buckets": buckets})
    conn.execute("UPDATE rollup_state SET closed_through = %(end)s, materialized_through = %(end)s", {"end": end})
    conn.autocommit = False


def mark_dirty(conn: psycopg.Connection[Any], events: list[Event]) -> None:
    """As the processor does with a flush that touches closed buckets."""
    buckets = {
        event.occurred_at.replace(minute=event.occurred_at.minute // 15 * 15, second=0, microsecond=0)
        for event in events
    }
    conn.cursor().executemany("INSERT INTO dirty_bucket (bucket) VALUES (%s)", [(bucket,) for bucket in buckets])
