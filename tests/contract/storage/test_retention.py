"""Each level lets go of what is older than it is kept, and nothing that was summed is lost by it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest

from services.contracts.retention import Retention
from services.contracts.rollups import FAMILIES
from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.processor.batch import Message
from services.processor.retention import LEAD_SECONDS, RetentionJob, read_floors
from services.processor.store import Applied
from tests.contract.storage.harness import LEVELS, Harness
from tests.ledger import Books

AGES_DAYS = (500, 200, 140, 60, 10, 0)
AFTER_LEAD = timedelta(seconds=LEAD_SECONDS + 1)


@pytest.fixture(autouse=True)
def _no_floors(storage: str) -> None:
    """The tests share a database and each begins with all of its history."""
    with psycopg.connect(storage) as connection:
        connection.execute("DELETE FROM retention_floor")


def live(harness: Harness, producer: Books, age_days: int, count: int = 5) -> Message:
    """Events that came when they happened, so many days ago."""
    at = producer.now - timedelta(days=age_days, hours=1)
    events = [producer.event(producer.tenants[0], at + timedelta(minutes=7 * n)) for n in range(count)]
    return harness.message(usage_pb2.UsageBatch(events=events), at + timedelta(hours=1))


def cost_by_age(harness: Harness, producer: Books, query: str) -> list[tuple[int, Decimal]]:
    number = harness.tenants.numbers(producer.tenants[:1])[producer.tenants[0]]
    with psycopg.connect(harness.dsn) as connection:
        rows = connection.execute(query.encode(), (producer.now, number)).fetchall()
    return [(int(age), Decimal(cost)) for age, cost in rows]


def ages(harness: Harness, producer: Books) -> dict[str, list[tuple[int, Decimal]]]:
    """Of every level: (days old, pico-USD)."""
    found = {
        level: cost_by_age(
            harness,
            producer,
            f"SELECT (%s::timestamptz::date - bucket::date) AS age, sum(billed_pico_usd) FROM usage_{level} "
            "WHERE tenant_no = %s GROUP BY 1 ORDER BY 1 DESC",
        )
        for level in LEVELS
    }
    found["raw"] = cost_by_age(
        harness,
        producer,
        "SELECT (%s::timestamptz::date - occurred_at::date) AS age, sum(cost_pico_usd) FROM usage_event "
        "WHERE tenant_no = %s GROUP BY 1 ORDER BY 1 DESC",
    )
    return found


def kept_days(found: dict[str, list[tuple[int, Decimal]]]) -> dict[str, set[int]]:
    """The ages a level has anything of, to the nearest of `AGES_DAYS`."""
    return {
        level: {min(AGES_DAYS, key=lambda known: abs(known - age)) for age, _ in rows} for level, rows in found.items()
    }


def job(harness: Harness) -> RetentionJob:
    return RetentionJob(harness.dsn, Retention())


def test_each_level_goes_by_its_own_age_and_what_is_coarser_keeps_the_sums(
    harness: Harness, own: Callable[..., Books]
) -> None:
    producer = own()
    for age in AGES_DAYS:
        assert harness.apply(live(harness, producer, age)).counted == 5
    harness.refresh(producer.now)
    before = ages(harness, producer)
    assert set(map(frozenset, kept_days(before).values())) == {frozenset(AGES_DAYS)}
    assert job(harness).run_once(producer.now) == 0, "floors lead"
    assert ages(harness, producer) == before
    assert job(harness).run_once(producer.now + AFTER_LEAD) > 0
    after = ages(harness, producer)
    everything = set(AGES_DAYS)
    assert kept_days(after) == {
        "raw": {60, 10, 0},
        "minute": {60, 10, 0},
        "15m": everything - {500},
        "hour": everything,
        "day": everything,
    }
    assert after["day"] == before["day"]
    assert after["hour"] == before["hour"]
    # A mark below the floor, wherever it comes from, must not rebuild a bucket from what is gone.
    with psycopg.connect(harness.dsn) as connection:
        connection.execute(
            "INSERT INTO dirty_bucket (bucket) SELECT date_bin('15 minutes', %s - n * interval '15 minutes', 'epoch') "
            "FROM unnest(%s::int[]) AS days, generate_series(days * 96 - 8, days * 96 + 8) AS n",
            (producer.now, list(AGES_DAYS)),
        )
    harness.refresh(producer.now + AFTER_LEAD)
    assert ages(harness, producer) == after
    assert harness.one("SELECT count(*) FROM dirty_bucket") == (0,)


def test_every_family_keeps_its_days(harness: Harness, own: Callable[..., Books]) -> None:
    producer = own()
    harness.apply(live(harness, producer, 1_200))
    harness.refresh(producer.now)
    number = harness.tenants.numbers(producer.tenants[:1])[producer.tenants[0]]

    def rows(view: str) -> int:
        return int(str(harness.one(f"SELECT count(*) FROM {view} WHERE tenant_no = %s", number)[0]))

    families = [rollup for rollup in FAMILIES if rollup.name != "units"]
    assert all(rows(rollup.view(level)) for rollup in families for level in rollup.levels)
    job(harness).run_once(producer.now)
    job(harness).run_once(producer.now + AFTER_LEAD)
    for rollup in families:
        assert [level for level in rollup.levels if rows(rollup.view(level))] == ["day"]
    assert rows("run_base") == 0


def test_what_is_not_built_yet_stays(harness: Harness, own: Callable[..., Books]) -> None:
    producer = own()
    harness.apply(live(harness, producer, 140))
    marked = producer.now - timedelta(days=141)
    with psycopg.connect(harness.dsn, autocommit=True) as connection:
        connection.execute("INSERT INTO dirty_bucket (bucket) VALUES (%s)", (marked,))
        harness.close_through(producer.now)
        job(harness).run_once(producer.now)
        floors = read_floors(connection)
        assert floors["usage_minute"] <= marked
        assert floors["usage_event"] > producer.now - timedelta(days=121)
        connection.execute("DELETE FROM dirty_bucket")
        job(harness).run_once(producer.now)
        assert read_floors(connection)["usage_minute"] == floors["usage_event"]


def test_a_floor_never_moves_back(harness: Harness) -> None:
    now = datetime.now(UTC)
    harness.refresh(now)
    job(harness).run_once(now)
    with psycopg.connect(harness.dsn) as connection:
        before = read_floors(connection)
        RetentionJob(harness.dsn, Retention(raw_days=300, minute_days=300)).run_once(now)
        assert read_floors(connection) == before


def test_identities_go_and_events_from_before_them_are_set_apart(harness: Harness, own: Callable[..., Books]) -> None:
    producer = own()
    old, young = live(harness, producer, 60), live(harness, producer, 10)
    assert harness.apply(old, young).counted == 10
    number = harness.tenants.numbers(producer.tenants[:1])[producer.tenants[0]]
    job(harness).run_once(producer.now)
    job(harness).run_once(producer.now + AFTER_LEAD)
    assert harness.one("SELECT count(*) FROM event_identity WHERE tenant_no = %s", number) == (5,)
    # The topic is read again from its start, into a ledger that knows nothing of it.
    again = [harness.message(usage_pb2.UsageBatch.FromString(m.value), _time(m), partition=1) for m in (old, young)]
    assert harness.apply(*again) == Applied(counted=0, duplicate=5, dead=0, quarantined=5)
    assert harness.one("SELECT count(*) FROM usage_event WHERE tenant_no = %s", number) == (10,)
    assert harness.one("SELECT count(*) FROM quarantined_event WHERE tenant_id = %s", producer.tenants[0]) == (5,)


def _time(message: Message) -> datetime:
    return datetime.fromtimestamp(message.received_us / 1e6, UTC)


def test_old_chunks_are_compressed_by_policy_each_after_its_own_age(harness: Harness) -> None:
    with psycopg.connect(harness.dsn) as connection:
        if not connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'").fetchone():
            pytest.skip("plain PostgreSQL compresses nothing")
        rows = connection.execute(
            "SELECT coalesce(c.view_name, j.hypertable_name), j.config ->> 'compress_after' "
            "FROM timescaledb_information.jobs AS j LEFT JOIN timescaledb_information.continuous_aggregates AS c "
            "ON c.materialization_hypertable_name = j.hypertable_name WHERE j.proc_name = 'policy_compression'"
        ).fetchall()
    wanted = {
        kept.table(timescale=True): f"{kept.compress_after_days} days"
        for kept in Retention().relations()
        if kept.compress_after_days is not None
    }
    assert dict(rows) == wanted
