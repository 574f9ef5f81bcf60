"""Events count in the period in which they happened, however late or early, within one pass of the refresher."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest

from services.contracts.retention import Retention
from services.contracts.rollups import FAMILIES, Rollup
from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.processor.store import Applied
from tests.contract.storage.harness import LEVELS, PICO, Harness
from tests.ledger import Books

LATENESS = (
    timedelta(minutes=3), timedelta(minutes=11), timedelta(hours=2), timedelta(hours=23), timedelta(days=3),
    timedelta(days=30), timedelta(days=34, hours=23),
)  # fmt: skip
EARLY = timedelta(minutes=4)


def found(harness: Harness, producer: Books, view: str, time: str, sums: str) -> dict[datetime, tuple[Decimal, int]]:
    """(USD, calls) by hour, or by day where that is all there is."""
    numbers = list(harness.tenants.numbers(producer.tenants).values())
    step = "day" if view.endswith("_day") else "hour"
    with psycopg.connect(harness.dsn, options="-c timezone=UTC") as connection:
        rows = connection.execute(
            f"SELECT date_trunc('{step}', {time}), {sums} FROM {view} WHERE tenant_no = ANY(%s) GROUP BY 1".encode(),
            (numbers,),
        ).fetchall()
    return {bucket: (Decimal(cost) / PICO, int(calls)) for bucket, cost, calls in rows}


def by_day(hours: Mapping[datetime, tuple[Decimal, int]]) -> dict[datetime, tuple[Decimal, int]]:
    days: dict[datetime, tuple[Decimal, int]] = defaultdict(lambda: (Decimal(0), 0))
    for hour, (cost, calls) in hours.items():
        day = hour.replace(hour=0)
        days[day] = (days[day][0] + cost, days[day][1] + calls)
    return dict(days)


def assert_right_at_every_level(harness: Harness, producer: Books) -> None:
    """Raw events agree with the books hour by hour, and every level of every family with the raw events."""
    raw = found(harness, producer, "usage_event", "occurred_at", "sum(cost_pico_usd), count(*)")
    assert {hour: cost for hour, (cost, _) in raw.items()} == dict(producer.by_hour)
    families: list[Rollup] = [rollup for rollup in FAMILIES if "billed_pico_usd" in rollup.measures]
    for rollup in families:
        for level in rollup.levels:
            rows = found(harness, producer, rollup.view(level), "bucket", "sum(billed_pico_usd), sum(calls)")
            assert rows == (by_day(raw) if level == "day" else raw), rollup.view(level)


def history(harness: Harness, producer: Books) -> None:
    """Something in every period that late events will fall into, built and closed."""
    for late in LATENESS:
        at = producer.now - late
        events = [producer.event(tenant, at - timedelta(seconds=20)) for tenant in producer.tenants for _ in range(3)]
        harness.apply(harness.message(usage_pb2.UsageBatch(events=events), at))
    harness.refresh(producer.now)


def stragglers(producer: Books) -> usage_pb2.UsageBatch:
    """A late event for each lateness, and early ones, for each tenant; some fall on keys that have a row already."""
    moments = [producer.now - late - timedelta(seconds=20) for late in LATENESS] + [producer.now + EARLY]
    return usage_pb2.UsageBatch(
        events=[producer.event(tenant, moment) for moment in moments for tenant in producer.tenants for _ in range(20)]
    )


def is_timescale(harness: Harness) -> bool:
    with psycopg.connect(harness.dsn) as connection:
        return connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'").fetchone() is not None


def test_late_and_early_events_are_right_at_every_level_after_one_pass(
    harness: Harness, own: Callable[..., Books]
) -> None:
    producer = own()
    history(harness, producer)
    assert_right_at_every_level(harness, producer)
    late = stragglers(producer)
    assert harness.apply(harness.message(late, producer.now)) == Applied(counted=len(late.events))
    harness.refresh(producer.now)
    assert_right_at_every_level(harness, producer)
    # What was ahead of its time becomes the past like anything else.
    harness.refresh(producer.now + timedelta(days=2))
    assert_right_at_every_level(harness, producer)


def test_late_events_say_so(harness: Harness, own: Callable[..., Books]) -> None:
    producer = own()
    harness.apply(harness.message(stragglers(producer), producer.now))
    harness.refresh(producer.now)
    numbers = list(harness.tenants.numbers(producer.tenants).values())
    # A late one comes more than ten minutes after it happened: all but those of three minutes, and those ahead.
    wanted = (len(LATENESS) - 1) * 20 * len(producer.tenants)
    for level in LEVELS:
        query = f"SELECT sum(late_events) FROM usage_{level} WHERE tenant_no = ANY(%s)"
        assert harness.one(query, numbers) == (wanted,), level


def compress_everything(harness: Harness) -> int:
    with psycopg.connect(harness.dsn, autocommit=True) as connection:
        count = 0
        for kept in Retention().relations():
            if kept.compress_after_days is not None:
                chunks = connection.execute("SELECT show_chunks(%s)::text", (kept.table(timescale=True),)).fetchall()
                for (chunk,) in chunks:
                    connection.execute("CALL convert_to_columnstore(%s, if_not_columnstore => true)", (chunk,))
                count += len(chunks)
        return count


def test_late_events_into_compressed_chunks_are_right_at_every_level(
    harness: Harness, own: Callable[..., Books]
) -> None:
    if not is_timescale(harness):
        pytest.skip("plain PostgreSQL compresses nothing")
    producer = own()
    history(harness, producer)
    for round_ in range(3):
        assert compress_everything(harness) > 20
        assert_right_at_every_level(harness, producer)
        harness.apply(harness.message(stragglers(producer), producer.now, partition=round_ % 2))
        harness.refresh(producer.now)
        assert_right_at_every_level(harness, producer)
    # Sent again, from the compressed past too, they are duplicates.
    again = usage_pb2.UsageBatch(events=[producer.event(producer.tenants[0], producer.now - timedelta(days=30))])
    assert harness.apply(harness.message(again, producer.now)) == Applied(counted=1)
    compress_everything(harness)
    assert harness.apply(harness.message(again, producer.now)) == Applied(duplicate=1)
    harness.refresh(producer.now)
    assert_right_at_every_level(harness, producer)


def test_a_whole_day_that_comes_thirty_days_late_fits_one_flush(harness: Harness, own: Callable[..., Books]) -> None:
    producer = own()
    history(harness, producer)
    if is_timescale(harness):
        compress_everything(harness)
    start = (producer.now - timedelta(days=30)).replace(hour=0, minute=0, second=0)
    batches = [
        usage_pb2.UsageBatch(
            events=[producer.event(tenant, start + timedelta(seconds=17 * (500 * part + n))) for n in range(500)]
        )
        for part in range(10)
        for tenant in producer.tenants
    ]
    harness.apply(*[harness.message(batch, producer.now) for batch in batches])
    harness.refresh(datetime.now(UTC))
    assert_right_at_every_level(harness, producer)
