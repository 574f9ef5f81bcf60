"""Detection on a real database: found once, whoever looks, however often; exact while levels above wait for refresh."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from services.processor.spike_store import (
    Spike,
    UsualHours,
    detect,
    mark_relayed,
    open_hours,
    touched_series,
    unrelayed,
)
from tests.integration.spikes.spending import Connection, make_tenant, spend, spend_steadily

NOON = datetime(2026, 10, 7, 12, tzinfo=UTC)
NOW = NOON + timedelta(minutes=20)


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with psycopg.connect(database, autocommit=True) as opened:
        yield opened


@pytest.fixture
def tenant(connection: Connection) -> tuple[int, str]:
    tenant_id = f"acme-{uuid.uuid4().hex[:6]}"
    return make_tenant(connection, tenant_id), tenant_id


def look(connection: Connection, tenant_no: int, now: datetime = NOW, **options: Any) -> list[Spike]:  # noqa: ANN401
    """What the hourly rule finds by feature and tenant; agent and model of these tests are always the same."""
    touched = touched_series([(tenant_no, "chat", NOON), (tenant_no, "search", NOON)])
    return plain(detect(connection, touched, now, **options))


def plain(found: list[Spike]) -> list[Spike]:
    return [one for one in found if one.rule == "hour_over_usual" and one.dimension in ("feature", "tenant_id")]


def test_grown_prompts_become_one_spike_of_the_feature_and_one_of_the_tenant(
    connection: Connection, tenant: tuple[int, str]
) -> None:
    tenant_no, tenant_id = tenant
    spend_steadily(connection, tenant_no, NOON, calls=400)
    spend(connection, tenant_no, NOON + timedelta(minutes=3), calls=250, prompt=3_700)
    assert look(connection, tenant_no) == []  # 2.4 times so far
    spend(connection, tenant_no, NOON + timedelta(minutes=9), calls=150, prompt=3_700, partition=2)
    feature, whole = look(connection, tenant_no)
    assert (feature.dimension, feature.value) == ("feature", "chat")
    assert (whole.dimension, whole.value) == ("tenant_id", tenant_id)
    assert feature.cause == f"chat at {tenant_id} costs 3.9 × its usual hour: prompts grew from 900 to 3,700 tokens."
    # 400 x (3,700 x 2.5 + 20 x 10) and 400 x (900 x 2.5 + 20 x 10) micro-USD.
    assert feature.observed_pico_usd == 3_780_000_000_000 and feature.usual_pico_usd == 980_000_000_000
    assert (feature.window_start, feature.window_end) == (NOON, NOON + timedelta(hours=1))
    assert feature.evidence["calls"] == {"now": 400, "usual": 400.0}
    assert feature.evidence["contributors"][0]["agent_id"] == "helper"
    assert look(connection, tenant_no) == []
    spend(connection, tenant_no, NOON + timedelta(minutes=15), calls=1_000, prompt=3_700)
    assert look(connection, tenant_no) == []


def test_a_steady_series_raises_nothing(connection: Connection, tenant: tuple[int, str]) -> None:
    spend_steadily(connection, tenant[0], NOON, calls=5_000)
    spend(connection, tenant[0], NOON, calls=5_000)
    assert look(connection, tenant[0]) == []


def test_late_events_raise_no_alarm_for_an_hour_that_is_over(connection: Connection, tenant: tuple[int, str]) -> None:
    spend_steadily(connection, tenant[0], NOON)
    spend(connection, tenant[0], NOON, calls=5_000, prompt=3_700)
    assert look(connection, tenant[0], now=NOON + timedelta(hours=2)) == []
    assert look(connection, tenant[0], now=NOON + timedelta(days=1)) == []
    assert len(look(connection, tenant[0], now=NOON + timedelta(hours=1, minutes=59))) == 2


def test_a_trace_without_history_raises_nothing(connection: Connection, tenant: tuple[int, str]) -> None:
    spend(connection, tenant[0], NOON, calls=19_366)
    assert look(connection, tenant[0]) == []


def test_hours_that_wait_for_refresh_are_read_from_minutes(connection: Connection, tenant: tuple[int, str]) -> None:
    tenant_no, _ = tenant
    spend_steadily(connection, tenant_no, NOON, hours=30)
    spend(connection, tenant_no, NOON, calls=500, prompt=3_700)
    with connection.transaction():
        before = connection.execute("SELECT materialized_through FROM rollup_state").fetchone()
        # As if all had been materialized before these rows came: plain PostgreSQL's hour level misses them.
        connection.execute("UPDATE rollup_state SET materialized_through = %s", [NOON])
        connection.execute(
            "INSERT INTO dirty_bucket (bucket) SELECT generate_series(%s::timestamptz, %s, INTERVAL '15 minutes')",
            [NOON - timedelta(hours=40), NOON - timedelta(minutes=15)],
        )
    try:
        assert len(look(connection, tenant_no)) == 2
    finally:
        connection.execute("TRUNCATE dirty_bucket")
        connection.execute("UPDATE rollup_state SET materialized_through = %s", before)


def test_a_day_of_a_tenant_begins_at_its_own_midnight_within_an_hour_too(connection: Connection) -> None:
    """Midnight in Kolkata is 18:30 UTC. There are 500 calls twenty minutes before it and 500 ten minutes after it."""
    tenant_id = f"pune-{uuid.uuid4().hex[:6]}"
    tenant_no = make_tenant(connection, tenant_id, "Asia/Kolkata")
    midnight = datetime(2026, 10, 6, 18, 30, tzinfo=UTC)
    now = midnight + timedelta(minutes=20)
    for age in range(1, 9):
        spend(connection, tenant_no, midnight - timedelta(days=age, minutes=20), calls=500)
        spend(connection, tenant_no, midnight - timedelta(days=age) + timedelta(minutes=10), calls=500)
    touched = touched_series([(tenant_no, "chat", midnight)])

    def days(at: datetime) -> list[Spike]:
        return [one for one in detect(connection, touched, at) if one.rule == "day_over_week"]

    # What comes just before midnight is yesterday's: 2 x 500 + 500 calls, which is no spike.
    spend(connection, tenant_no, midnight - timedelta(minutes=20), calls=1_000)
    assert days(now) == []
    spend(connection, tenant_no, midnight + timedelta(minutes=10), calls=3_000)
    feature, *_wider = days(now)
    call = 2_450_000_000
    assert (feature.window_start, feature.window_end) == (midnight, midnight + timedelta(days=1))
    # Six days of 1,000 calls, and yesterday's 500 and 1,000.
    assert feature.observed_pico_usd == 3_000 * call
    assert feature.usual_pico_usd == (6 * 1_000 + 1_500) * call // 7
    assert feature.evidence["calls"]["now"] == 3_000
    connection.execute(
        "INSERT INTO dirty_bucket (bucket) SELECT generate_series(%s::timestamptz, %s, INTERVAL '15 minutes')",
        [midnight - timedelta(days=9), now],
    )
    connection.execute("DELETE FROM spike WHERE tenant_no = %s", [tenant_no])
    try:
        again, *_wider = days(now)
    finally:
        connection.execute("TRUNCATE dirty_bucket")
    assert (again.observed_pico_usd, again.usual_pico_usd) == (feature.observed_pico_usd, feature.usual_pico_usd)


def test_workers_that_look_at_once_keep_one_spike(
    connection: Connection, tenant: tuple[int, str], database: str
) -> None:
    spend_steadily(connection, tenant[0], NOON)
    spend(connection, tenant[0], NOON, calls=5_000)
    found: list[Spike] = []
    gate = threading.Barrier(4)

    def worker() -> None:
        with psycopg.connect(database) as own:
            gate.wait()
            found.extend(look(own, tenant[0]))

    workers = [threading.Thread(target=worker) for _ in range(4)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert sorted(spike.dimension for spike in found) == ["feature", "tenant_id"]


def test_one_tenants_spending_is_no_history_for_another(connection: Connection, tenant: tuple[int, str]) -> None:
    other = make_tenant(connection, f"other-{tenant[1]}")
    spend_steadily(connection, other, NOON)
    spend(connection, tenant[0], NOON, calls=5_000)
    assert look(connection, tenant[0]) == []


def test_a_memory_of_usual_hours_reads_them_once_and_forgets_what_is_touched(
    connection: Connection, tenant: tuple[int, str]
) -> None:
    tenant_no, _ = tenant
    memory = UsualHours()
    spend_steadily(connection, tenant_no, NOON, hours=23)
    spend(connection, tenant_no, NOON, calls=5_000)
    assert look(connection, tenant_no, usual_hours=memory) == []  # warming up
    late = NOON - timedelta(hours=24)
    spend(connection, tenant_no, late)
    assert look(connection, tenant_no, usual_hours=memory) == []  # remembered
    touched = touched_series([(tenant_no, "chat", late), (tenant_no, "chat", NOON)])
    assert len(plain(detect(connection, touched, NOW, usual_hours=memory))) == 2


def test_open_hours_name_what_is_tested_again_on_assignment(connection: Connection, tenant: tuple[int, str]) -> None:
    spend_steadily(connection, tenant[0], NOON, hours=3)
    spend(connection, tenant[0], NOON, feature="search")
    mine = {series for series in open_hours(connection, NOW) if series.tenant_no == tenant[0]}
    hour_before = NOON - timedelta(minutes=43)
    assert mine == touched_series([(tenant[0], "search", NOON), (tenant[0], "chat", hour_before)])


def test_relayed_spikes_are_not_relayed_again(connection: Connection, tenant: tuple[int, str]) -> None:
    spend_steadily(connection, tenant[0], NOON)
    spend(connection, tenant[0], NOON, calls=5_000)
    spikes = look(connection, tenant[0])
    waiting = {spike.spike_id: spike for spike in unrelayed(connection)}
    assert all(waiting[spike.spike_id] == spike for spike in spikes)
    mark_relayed(connection, [spikes[0].spike_id], NOW)
    assert spikes[0].spike_id not in {spike.spike_id for spike in unrelayed(connection)}
    assert spikes[1].spike_id in {spike.spike_id for spike in unrelayed(connection)}
