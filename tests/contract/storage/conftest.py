"""Every storage test runs twice: on plain PostgreSQL, and on TimescaleDB where the environment names one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from services.runtime.embedded.backends import Backends
from tests.backends import fresh_database


@pytest.fixture(scope="module", params=["postgresql", "timescaledb"])
def storage(request: pytest.FixtureRequest, backends: Backends) -> Iterator[str]:
    """The DSN of a fresh, migrated database of each kind."""
    dsn = backends.database_dsn
    if request.param == "timescaledb":
        dsn = os.environ.get("SPENDSTREAM_TEST_TIMESCALE_DSN", "")
        if not dsn:
            pytest.skip("no TimescaleDB: SPENDSTREAM_TEST_TIMESCALE_DSN is not set")
    with fresh_database(dsn) as fresh:
        yield fresh
