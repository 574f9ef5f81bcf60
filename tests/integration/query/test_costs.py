"""Every answer equals what raw events say by SQL of its own, on whatever level it was served, stale levels included."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from services.query.read.costs import read_costs, read_store_state
from services.query.read.planner import plan
from services.query.read.question import CostAnswer, CostQuery, CostRow, Granularity
from tests.integration.query.store import (
    CORRECTED,
    add_tenant,
    fold,
    heal_some,
    insert_raw,
    mark_dirty,
    materialize,
    random_events,
)

# Clocks change in Europe on 25 October and in North America on 1 November.
START, END = datetime(2026, 10, 20, tzinfo=UTC), datetime(2026, 11, 4, tzinfo=UTC)
ZONES = ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/New_York", "Pacific/Chatham"]
GRANULARITIES: list[Granularity | None] = [None, None, "minute", "hour", "day", "week", "month"]
GROUPS: list[tuple[str, ...]] = [
    (), ("feature",), ("model", "status"), ("tenant_id",), ("customer_id",), ("channel",), ("customer_id", "provider"),
    ("agent_id", "tier"), ("region", "prompt_template_id"), ("tenant_id", "user_id"), ("service_tier",),
    ("provider",), ("provider", "tenant_id"), ("user_id",), ("region",),
]  # fmt: skip
FILTERS: list[tuple[tuple[str, tuple[str, ...]], ...]] = [
    (), (), (), (("provider", ("openai",)),), (("model", ("gpt-4o",)),), (("status", ("error", "timeout")),),
    (("customer_id", ("alice", "")),), (("feature", ("chat",)), ("channel", ("slack",))), (("model", ("nobody's",)),),
]  # fmt: skip
SUMS = {
    "cost_usd": "sum(coalesce(cost_pico_usd, 0) + delta)",
    "calls": "count(*)",
    "requests": "count(*) FILTER (WHERE attempt = 1)",
    "errors": "count(*) FILTER (WHERE status <> 'ok')",
    "prompt_tokens": "sum(input_uncached + cache_read)",
    "completion_tokens": "sum(output_text + output_reasoning)",
    "wasted_cost_usd": "coalesce(sum(coalesce(cost_pico_usd,0) + delta) FILTER (WHERE status<>'ok' OR superseded), 0)",
    "unpriced_events": "count(*) FILTER (WHERE cost_pico_usd IS NULL AND NOT healed)",
    "late_events": "count(*) FILTER (WHERE received_at - occurred_at > interval '10 minutes')",
}
WIDE_SUMS = {
    "retry_count": "sum(retry_count)",
    "cache_read": "sum(cache_read)",
    "cache_hits": "count(*) FILTER (WHERE cache_hit)",
    "response_cache_saved_usd": "sum(response_cache_saved_pico_usd)",
    "latency_ms_avg": "avg(latency_ms)",
}


@dataclass(frozen=True)
class Store:
    dsn: str
    tenants: tuple[int, int]


@pytest.fixture(scope="module", params=["fresh", "stale"])
def store(database: str, request: pytest.FixtureRequest) -> Store:
    with psycopg.connect(database) as conn:
        if request.param == "fresh":
            tenants = (add_tenant(conn, "acme", "Europe/Berlin"), add_tenant(conn, "bigco"))
            for tenant_no in tenants:
                insert_raw(conn, random_events(random.Random(tenant_no), tenant_no, START, END, 1_500))
            heal_some(conn)
            fold(conn)
            materialize(conn, START - timedelta(days=20), END + timedelta(days=26))
        else:
            tenants = (1, 2)
            late = random_events(random.Random(99), 1, START + timedelta(days=3), START + timedelta(days=4), 40)
            late += random_events(random.Random(98), 2, START, END, 15)
            insert_raw(conn, late, partition=10)
            fold(conn, "kafka_partition >= 10")
            mark_dirty(conn, late)
    return Store(database, tenants)


def random_query(rng: random.Random, tenants: tuple[int, int]) -> CostQuery:
    zone = ZoneInfo(rng.choice(ZONES))
    granularity = rng.choice(GRANULARITIES)
    start = START + timedelta(milliseconds=rng.randrange(10 * 86_400_000))
    end = start + timedelta(
        milliseconds=rng.randrange(1, 2 * 86_400_000 if granularity == "minute" else 12 * 86_400_000)
    )
    if rng.random() < 0.7:
        width = timedelta(seconds=rng.choice([60, 900, 3_600, 86_400]))
        start = START + (start - START) // width * width
        end = max(start + width, START + (end - START) // width * width)
    measures = tuple(SUMS) if rng.random() < 0.5 else (*SUMS, *WIDE_SUMS)
    who = rng.choice([None, (tenants[0],), (tenants[1],), tenants])
    return CostQuery(
        who, start, end, zone, granularity, rng.choice(GROUPS), rng.choice(FILTERS), measures, limit=200_000
    )


def oracle(dsn: str, query: CostQuery) -> dict[tuple[object, ...], dict[str, Any]]:
    """The answer by raw events; without the empty buckets."""
    names = {**SUMS, **WIDE_SUMS}
    keys = [name if name != "tenant_id" else "tenant.tenant_id" for name in query.group_by]
    if query.granularity:
        keys.insert(0, f"date_trunc('{query.granularity}', occurred_at, '{query.zone.key}')")
    wheres = ["occurred_at >= %(start)s", "occurred_at < %(end)s"]
    values: dict[str, Any] = {"start": query.start, "end": query.end}
    if query.tenants is not None:
        wheres.append("event.tenant_no = ANY(%(tenants)s)")
        values["tenants"] = list(query.tenants)
    for name, wanted in query.filters:
        wheres.append(f"{name} = ANY(%({name})s)")
        values[name] = list(wanted)
    columns = [f"{key} AS k{place}" for place, key in enumerate(keys)]
    columns += [f"{names[name]} AS {name}" for name in query.measures]
    group = f"GROUP BY {', '.join(keys)}" if keys else "HAVING count(*) > 0"
    where = " AND ".join(wheres)
    sql = f"SELECT {', '.join(columns)} FROM {CORRECTED} JOIN tenant USING (tenant_no) WHERE {where} {group}"
    with psycopg.connect(dsn, row_factory=dict_row) as conn:
        rows = conn.execute(sql.encode(), values).fetchall()
    found = {}
    for row in rows:
        key = tuple(row[f"k{place}"] for place in range(len(keys)))
        found[key] = {name: plain(name, row[name]) for name in query.measures}
    return found


def plain(name: str, value: int | Decimal | None) -> int | float | Decimal | None:
    if name.endswith("_usd"):
        return Decimal(value or 0) / 10**12
    if value is None:
        return None
    if name == "latency_ms_avg":
        return float(Decimal(value).quantize(Decimal("0.001"), ROUND_HALF_EVEN))
    return int(value)


async def ask(dsn: str, query: CostQuery) -> CostAnswer:
    async with await AsyncConnection.connect(dsn, options="-c TimeZone=UTC") as conn:
        return await read_costs(conn, query)


@pytest.mark.parametrize("seed", range(140))
async def test_an_answer_is_what_raw_events_say(store: Store, seed: int) -> None:
    query = random_query(random.Random(seed), store.tenants)
    want = oracle(store.dsn, query)
    answer = await ask(store.dsn, query)
    assert answer.next_offset is None
    got: dict[tuple[object, ...], dict[str, Any]] = {}
    for row in answer.rows:
        bucket = () if row.bucket is None else (row.bucket.astimezone(UTC),)
        key = (*bucket, *(row.dimensions[name] for name in query.group_by))
        assert key not in got
        if row.figures["calls"]:
            got[key] = dict(row.figures)
    assert got == want
    for name in SUMS:
        assert answer.totals[name] == sum(row[name] for row in want.values()), name
    assert answer.unpriced_events == answer.totals["unpriced_events"]


async def test_every_level_of_every_rollup_is_used_somewhere(store: Store) -> None:
    seen = set()
    async with await AsyncConnection.connect(store.dsn) as conn:
        for seed in range(140):
            query = random_query(random.Random(seed), store.tenants)
            dirty = (await read_store_state(conn, query.start, query.end)).dirty
            made = plan(query, dirty)
            seen |= {(made.source, segment.source) for segment in made.segments}
    assert {"channel", "region", "usage", "customer", "provider", "spender", "raw"} == {source for source, _ in seen}
    assert {"minute", "15m", "hour", "day", "raw"} == {level for _, level in seen}


async def test_empty_buckets_are_zeros(store: Store) -> None:
    start = datetime(2026, 12, 1, tzinfo=UTC)
    answer = await ask(store.dsn, CostQuery(None, start, start + timedelta(hours=72), granularity="hour"))
    assert len(answer.rows) == 72
    assert all(row.figures["calls"] == 0 and row.figures["cost_usd"] == 0 for row in answer.rows)


async def test_rows_come_dearest_first_and_in_pages(store: Store) -> None:
    whole = await ask(store.dsn, CostQuery(None, START, END, group_by=("model", "tier"), limit=100))
    costs = [row.figures["cost_usd"] or 0 for row in whole.rows]
    assert costs == sorted(costs, reverse=True)
    paged: list[CostRow] = []
    offset = 0
    while True:
        page = await ask(store.dsn, CostQuery(None, START, END, group_by=("model", "tier"), limit=4, offset=offset))
        paged += page.rows
        assert page.totals == whole.totals
        if page.next_offset is None:
            break
        offset = page.next_offset
    assert tuple(paged) == whole.rows


async def test_percentiles_are_near_the_true_ones(store: Store) -> None:
    query = CostQuery(
        (store.tenants[0],), START, END, group_by=("feature",), measures=("latency_ms_p50", "latency_ms_p95")
    )
    answer = await ask(store.dsn, query)
    with psycopg.connect(store.dsn) as conn:
        want = {
            row[0]: row[1:]
            for row in conn.execute(
                "SELECT feature, percentile_disc(0.5) WITHIN GROUP (ORDER BY latency_ms), percentile_disc(0.95) WITHIN "
                "GROUP (ORDER BY latency_ms) FROM usage_event WHERE tenant_no = %s GROUP BY 1",
                (store.tenants[0],),
            )
        }
    for row in answer.rows:
        for name, true in zip(("latency_ms_p50", "latency_ms_p95"), want[row.dimensions["feature"]], strict=True):
            found = row.figures[name]
            assert found is not None
            assert true - 0.1 <= found <= true * 1.19 + 0.1
