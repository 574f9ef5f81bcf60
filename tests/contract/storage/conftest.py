"""Every storage test runs twice: on plain PostgreSQL, and on TimescaleDB where the environment names one."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import pricing
from pricing.book import load_book
from pricing.entries import PriceBook
from services.runtime.embedded.backends import Backends
from tests.backends import fresh_database
from tests.contract.storage.harness import Harness
from tests.ledger import Books, books


@pytest.fixture(scope="module", params=["postgresql", "timescaledb"])
def server(request: pytest.FixtureRequest, backends: Backends) -> str:
    """The DSN of a server of each kind."""
    if request.param == "timescaledb":
        return str(request.getfixturevalue("timescale_dsn"))
    return backends.database_dsn


@pytest.fixture(scope="module")
def storage(server: str) -> Iterator[str]:
    """The DSN of a fresh, migrated database of each kind."""
    with fresh_database(server) as fresh:
        yield fresh


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return load_book(Path(pricing.__file__).with_name("price_book.yaml"))


@pytest.fixture
def harness(storage: str, book: PriceBook) -> Iterator[Harness]:
    built = Harness(storage, book)
    yield built
    built.store.close()


@pytest.fixture
def own(request: pytest.FixtureRequest) -> Callable[..., Books]:
    """Books whose tenants are this test's alone."""
    name = uuid.uuid4().hex[:8]
    return lambda **options: books(11, tenants=(f"a-{name}", f"b-{name}"), **options)
