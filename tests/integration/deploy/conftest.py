"""Databases for dashboards: an empty one, and one with three tenants of whom one has an apostrophe in its name."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from deploy.timescale import tenant_roles
from deploy.timescale.operator_login import ensure_login
from services.runtime.embedded.backends import Backends
from tests.backends import fresh_database
from tests.integration.query.store import add_tenant, fold, heal_some, insert_raw, random_events

TENANTS = ("alpha", "o'brien & sons", "gamma")
END = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
START = END - timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Grafana:
    """A database as Grafana sees it: `all_tenants` and `one_tenant` are DSNs of its logins, `owner` is for the test."""

    owner: str
    all_tenants: str
    one_tenant: str
    timescale: bool


@pytest.fixture(scope="module", params=["postgresql", "timescaledb"])
def kind(request: pytest.FixtureRequest, backends: Backends) -> str:
    """The DSN of a server of each kind."""
    if request.param == "postgresql":
        return backends.database_dsn
    return str(request.getfixturevalue("timescale_dsn"))


@pytest.fixture(scope="module")
def grafana(kind: str) -> Iterator[Grafana]:
    """Nothing is in it yet but the tenants, so that a tenant can have a login."""
    with fresh_database(kind) as dsn:
        with psycopg.connect(dsn) as connection:
            add_tenant(connection, TENANTS[0])
            for name in TENANTS[1:]:
                add_tenant(connection, name)
        with psycopg.connect(dsn) as connection:
            name = f"grafana_all_{connection.info.dbname}"
            ensure_login(connection, name, "a password")
            of_tenant = tenant_roles.create(connection, TENANTS[0])
            found = connection.execute("SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'").fetchone()
        try:
            yield Grafana(
                dsn,
                make_conninfo(dsn, user=name, password="a password"),
                make_conninfo(dsn, user=of_tenant.role, password=of_tenant.password),
                found == (1,),
            )
        finally:
            with psycopg.connect(dsn) as connection:
                tenant_roles.drop(connection, of_tenant.role)
                connection.execute(f"DROP OWNED BY {name}".encode())
                connection.execute(f"DROP ROLE {name}".encode())


@pytest.fixture(scope="module")
def filled(grafana: Grafana) -> Grafana:
    """The same with calls, what was corrected, a spike, a budget and a ledger."""
    with psycopg.connect(grafana.owner) as connection:
        numbers: dict[str, int] = dict(connection.execute("SELECT tenant_id, tenant_no FROM tenant").fetchall())
        rng = random.Random(8)
        for name in TENANTS:
            insert_raw(connection, random_events(rng, numbers[name], START, END - timedelta(hours=1), 300))
        heal_some(connection)
        fold(connection)
        for name in TENANTS:
            connection.execute(
                "INSERT INTO spike (rule, tenant_no, dimension, value, window_start, window_end, observed_pico_usd, "
                "usual_pico_usd, evidence, cause, detected_at) VALUES ('hour', %(no)s, 'feature', 'chat', %(at)s, "
                "%(at)s, 3000000000000, 1000000000000, '{}', 'prompts', %(at)s)",
                # Not now(): an hour may end between this file's import and here.
                {"no": numbers[name], "at": END - timedelta(hours=1)},
            )  # fmt: skip
            connection.execute(
                "INSERT INTO budget (tenant_id, budget_window, limit_pico_usd) VALUES (%s, 'daily', 5000000000000)",
                (name,),
            )
        connection.execute(
            "INSERT INTO ledger (cluster_id, topic_id, topic, kafka_partition, next_offset, events_read, counted) "
            "VALUES ('c', 't', 'usage.events.v1', 0, 7, 900, 900)"
        )
        connection.execute("INSERT INTO partition_progress VALUES ('t', 0, 7, 9, now())")
    return grafana
