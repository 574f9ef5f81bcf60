"""Backends that may be killed, and the rule for what `make test` takes from here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.runtime.embedded.backends import Backends, EmbeddedBackends
from services.runtime.embedded.postgres import EmbeddedPostgres
from tests.backends import fresh_database, fresh_topics, temporary_home
from tests.fault.system import System

_HERE = Path(__file__).parent
_SEED = int(os.environ.get("SPENDSTREAM_FAULT_SEED", "20261122"))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "in_test_run: a fault test that `make test` runs too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if _asked_for(config):
        return
    left_out = [item for item in items if _HERE in item.path.parents and not item.get_closest_marker("in_test_run")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def _asked_for(config: pytest.Config) -> bool:
    return any(_HERE in (path := Path(argument.partition("::")[0]).resolve()).parents or path == _HERE
               for argument in config.args)  # fmt: skip


class Breakable:
    """A broker and a database of this session's own: `parts` has the processes.

    With SPENDSTREAM_TEST_DATABASE_DSN the database is the one it names, TimescaleDB for example. What kills a database
    is then skipped: that one isn't ours.
    """

    def __init__(self, parts: EmbeddedBackends, backends: Backends) -> None:
        self.parts = parts
        self.backends = backends

    @property
    def postgres(self) -> EmbeddedPostgres:
        """The database's process; skips where it isn't ours."""
        if self.parts.postgres is None:
            pytest.skip("the database that SPENDSTREAM_TEST_DATABASE_DSN names isn't ours to break")
        return self.parts.postgres


@pytest.fixture(scope="session")
def breakable() -> Iterator[Breakable]:
    dsn = os.environ.get("SPENDSTREAM_TEST_DATABASE_DSN", "")
    with temporary_home() as home:
        parts = EmbeddedBackends(home, postgres=not dsn)
        try:
            started = parts.start()
            yield Breakable(parts, Backends(started.kafka_bootstrap, dsn or started.database_dsn))
        finally:
            parts.stop()


@pytest.fixture
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    """Fresh topics and a fresh database, a seeded producer, and nothing running yet."""
    if _asked_for(request.config):
        backends: Backends = request.getfixturevalue("breakable").backends
    else:
        backends = request.getfixturevalue("backends")
    with fresh_database(backends.database_dsn) as dsn, fresh_topics(backends.kafka_bootstrap) as topics:
        built = System(backends, dsn, topics, tmp_path, _SEED)
        try:
            yield built
        finally:
            built.stop()
