"""A store with three days of books, on plain PostgreSQL and on TimescaleDB where the environment names one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

import pricing
from pricing.book import load_book
from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.runtime.embedded.backends import Backends
from tests.backends import fresh_database
from tests.contract.storage.harness import Harness
from tests.ledger import books


@pytest.fixture(scope="module", params=["postgresql", "timescaledb"])
def counted(request: pytest.FixtureRequest, backends: Backends) -> Iterator[Harness]:
    """3,000 events of two partitions, some with units, an unpriced, a duplicate, a dead and a quarantined one."""
    dsn = backends.database_dsn
    if request.param == "timescaledb":
        dsn = request.getfixturevalue("timescale_dsn")
    with fresh_database(dsn) as fresh:
        harness = _harness(fresh)
        _fill(harness)
        yield harness
        harness.store.close()


@pytest.fixture
def empty(counted: Harness) -> Iterator[Harness]:
    """A database of its own with nothing in it, of the same kind."""
    with fresh_database(counted.dsn) as fresh:
        harness = _harness(fresh)
        yield harness
        harness.store.close()


def _harness(dsn: str) -> Harness:
    return Harness(dsn, load_book(Path(pricing.__file__).with_name("price_book.yaml")))


def _fill(harness: Harness) -> None:
    producer = books(5, span=timedelta(days=3))
    for number, batch in enumerate(producer.batches(3_000)):
        message = harness.message(batch, producer.now, number % 2)
        harness.apply(message)
    one, old, unknown = (producer.event("acme") for _ in range(3))
    old.occurred_at.FromDatetime(producer.now - timedelta(days=40))
    unknown.model = "no-such-model"
    units = producer.event("bigco", producer.now - timedelta(days=1))
    units.usage.units["web_searches"] = 3
    bad = usage_pb2.UsageEvent(event_id="bad", tenant_id="acme")
    mixed = usage_pb2.UsageBatch(events=[one, one, old, unknown, units, bad])
    harness.apply(harness.message(mixed, producer.now))
    harness.refresh(producer.now)


@pytest.fixture
def connection(counted: Harness) -> Iterator[psycopg.Connection]:
    """As the audit wants it."""
    with psycopg.connect(counted.dsn, autocommit=True, options="-c timezone=UTC") as opened:
        yield opened
