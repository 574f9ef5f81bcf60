"""Rows that flushes appended to the rollups are put together, and nothing that is summed from them changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from services.contracts.rollups import CUSTOMER, ROLLUPS, USAGE, Rollup
from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.processor.merger import Merger, merge_statement
from tests.contract.storage.harness import LEVELS, Harness
from tests.ledger import Books


@pytest.fixture
def merger(storage: str) -> Iterator[Merger]:
    built = Merger(storage)
    yield built
    built.close()


def _rows(harness: Harness, rollup: Rollup) -> tuple[int, int]:
    """Rows of a base table, and distinct keys among them."""
    keys = ", ".join(("bucket", "tenant_no", *rollup.dimensions, "kafka_partition"))
    count = f"SELECT (SELECT count(*) FROM {rollup.base_table}), count(*) FROM (SELECT DISTINCT {keys} FROM "
    rows, distinct = harness.one(f"{count}{rollup.base_table}) AS k")
    assert isinstance(rows, int)
    assert isinstance(distinct, int)
    return rows, distinct


def _sums(harness: Harness) -> list[tuple[object, ...]]:
    """Every measure of every rollup at its base level."""
    return [
        harness.one(f"SELECT {', '.join(f'sum({name})' for name in rollup.measures)} FROM {rollup.view(level)}")
        for rollup in ROLLUPS
        for level in rollup.levels
    ]


def _append(
    storage: str, bucket: datetime, count: int, *, tenant: int, feature: str, models: int = 1_000_000, calls: int = 1
) -> None:
    """Rows of so many models, with their mark, as a flush appends them."""
    with psycopg.connect(storage) as connection:
        connection.execute(
            "INSERT INTO latency_hour_base (bucket, tenant_no, kafka_partition, feature, model, latency_bucket, calls) "
            "SELECT %s, %s, 0, %s, 'm' || n %% %s, 3, %s FROM generate_series(1, %s) AS n",
            (bucket, tenant, feature, models, calls, count),
        )
        connection.execute(
            "INSERT INTO unmerged_bucket (rollup, bucket, row_count) VALUES ('latency_hour_base', %s, %s)",
            (bucket, count),
        )


def test_what_flushes_appended_becomes_one_row_a_key_and_sums_stay(
    harness: Harness, own: Callable[..., Books], merger: Merger
) -> None:
    producer = own(span=timedelta(minutes=3))
    for batch in producer.batches(2_400, size=200):
        harness.apply(harness.message(batch, producer.now))
    rows, distinct = _rows(harness, CUSTOMER)
    assert rows > distinct
    before = _sums(harness)
    busy = Merger(harness.dsn, behind=lambda: True)
    assert [busy.run_once(datetime.now(UTC)) for _ in range(3)] == [0, 0, 0], "a backlog goes first"
    busy.close()
    assert merger.run_once(datetime.now(UTC)) == 0, "a bucket that was just written into waits until it is quiet"
    assert merger.run_once(datetime.now(UTC)) > 0
    assert _sums(harness) == before
    for rollup in ROLLUPS:
        rows, distinct = _rows(harness, rollup)
        assert rows == distinct, rollup.name
    assert harness.one("SELECT count(*) FROM unmerged_bucket WHERE rollup = %s", CUSTOMER.base_table) == (0,)
    assert merger.run_once(datetime.now(UTC)) == 0
    assert harness.costs_by_level(producer.tenants) == dict.fromkeys((*LEVELS, "raw"), producer.cost_usd)


def test_what_is_appended_while_a_bucket_is_merged_is_neither_lost_nor_doubled(
    harness: Harness, own: Callable[..., Books]
) -> None:
    producer = own(span=timedelta(minutes=1))
    at = producer.now - timedelta(hours=2)
    minute = at.replace(second=0)
    first, second = ([producer.event(producer.tenants[0], at) for _ in range(50)] for _ in range(2))
    harness.apply(harness.message(usage_pb2.UsageBatch(events=first), producer.now))
    with psycopg.connect(harness.dsn) as merging:
        merging.execute(merge_statement(USAGE), {"bucket": minute, "first": 0, "end": 2**31})
        harness.apply(harness.message(usage_pb2.UsageBatch(events=second), producer.now))
    assert harness.costs_by_level(producer.tenants) == dict.fromkeys((*LEVELS, "raw"), producer.cost_usd)


def test_a_large_bucket_takes_several_passes_and_what_comes_meanwhile_is_merged_later(
    harness: Harness, storage: str, merger: Merger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.processor.merger._PASS_SECONDS", 0.0)
    bucket = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=4)
    # The third tenant alone is more than a piece.
    rows = {71: 3_000, 72: 2_500, 73: 9_000, 74: 10}

    def append(tenant: int, count: int) -> None:
        _append(storage, bucket, count, tenant=tenant, feature="pieces", models=10)

    def found() -> list[tuple[object, ...]]:
        return harness.all(
            "SELECT tenant_no, count(*), sum(calls)::bigint FROM latency_hour_base WHERE feature = 'pieces' "
            "GROUP BY 1 ORDER BY 1"
        )

    with psycopg.connect(storage) as connection:
        connection.execute("DELETE FROM unmerged_bucket")
    for tenant, count in rows.items():
        append(tenant, count)
    now = datetime.now(UTC)
    assert merger.run_once(now) == 0
    later = now + timedelta(seconds=11)
    assert merger.run_once(later) == 0
    assert found() == [(71, 10, 3_000), (72, 2_500, 2_500), (73, 9_000, 9_000), (74, 10, 10)]
    append(71, 20)
    append(74, 20)
    seen = []
    while merger.run_once(later) == 0:
        seen.append([count for _, count, _ in found()])
        assert len(seen) < 5, seen
    assert seen == [[30, 10, 9_000, 30], [30, 10, 10, 30]]
    assert found() == [(71, 30, 3_020), (72, 10, 2_500), (73, 10, 9_000), (74, 10, 30)]
    assert harness.all("SELECT row_count FROM unmerged_bucket WHERE bucket = %s ORDER BY mark_id", bucket) == [
        (20,),
        (20,),
    ]
    harness.one("DELETE FROM unmerged_bucket WHERE bucket = %s RETURNING 1", bucket)


def test_a_bucket_is_merged_while_it_grows_and_late_rows_leave_a_large_one_alone(
    harness: Harness, storage: str, merger: Merger
) -> None:
    bucket = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=3)

    def append(count: int, calls: int) -> None:
        _append(storage, bucket, count, tenant=7, feature="merging", calls=calls)

    def found() -> tuple[object, ...]:
        return harness.one("SELECT count(*), sum(calls)::bigint FROM latency_hour_base WHERE feature = 'merging'")

    for _ in range(2):
        append(1_000, 1)
    now = datetime.now(UTC)
    merger.run_once(now)
    append(1_000, 1)
    merger.run_once(now + timedelta(seconds=9))
    assert found() == (3_000, 3_000)
    append(1_000, 0)
    merger.run_once(now + timedelta(seconds=11))
    assert found() == (1_000, 3_000)
    append(10, 1)
    append(10, 1)
    for _ in range(3):
        merger.run_once(datetime.now(UTC))
    assert found() == (1_020, 3_020), "twenty rows are not worth writing a thousand again"
    append(1_000, 1)
    for _ in range(2):
        merger.run_once(datetime.now(UTC))
    assert found() == (1_000, 4_020)
