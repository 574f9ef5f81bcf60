"""Fixtures for all tests, and the rule that unit and property tests open no socket."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.runtime.embedded.backends import Backends
    from tests.backends import FreshTopics

_TESTS = Path(__file__).parent
_WITHOUT_SOCKETS = frozenset({"unit", "property", "golden"})
# The quick ones first; on several workers the long ones, so that none is left alone with them at the end.
_ORDER = ("unit", "golden", "property", "contract", "integration", "fault", "e2e/system", "e2e/pages")
_ORDER_OF_WORKERS = ("e2e/system", "fault", "integration", "contract", "property", "golden", "unit", "e2e/pages")

# The fixtures import what they need when they are used: unit tests start without a broker client or a driver.


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = _ORDER_OF_WORKERS if "PYTEST_XDIST_WORKER" in os.environ else _ORDER
    items.sort(key=lambda item: order.index(_kind(item)))
    for item in items:
        if _kind(item) in _WITHOUT_SOCKETS:
            item.add_marker(pytest.mark.disable_socket)


def _kind(item: pytest.Item) -> str:
    first, second, *_ = item.path.relative_to(_TESTS).parts
    return f"{first}/{second}" if first == "e2e" else first


@pytest.fixture(scope="session")
def backends() -> Iterator[Backends]:
    """A real broker and a real database, for the whole session."""
    from tests.backends import running_backends

    with running_backends() as running:
        yield running


@pytest.fixture(scope="session")
def timescale_dsn() -> Iterator[str]:
    """The DSN of a TimescaleDB server; skips, aloud, where none is named and Docker is not there to start one."""
    from tests.containers import timescale

    with timescale() as dsn:
        if not dsn:
            pytest.skip("no TimescaleDB: SPENDSTREAM_TEST_TIMESCALE_DSN is not set, and no Docker engine answers")
        yield dsn


@pytest.fixture(scope="module")
def database(backends: Backends) -> Iterator[str]:
    """The DSN of a fresh, migrated database, for one test module."""
    from tests.backends import fresh_database

    with fresh_database(backends.database_dsn) as dsn:
        yield dsn


@pytest.fixture(scope="module")
def kafka_topics(backends: Backends) -> Iterator[FreshTopics]:
    """The product's topics under a prefix of this test module's own."""
    from tests.backends import fresh_topics

    with fresh_topics(backends.kafka_bootstrap) as topics:
        yield topics
