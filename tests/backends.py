"""The broker and the database that tests talk to: those named by the environment, else embedded ones.

`SPENDSTREAM_TEST_KAFKA_BOOTSTRAP` and `SPENDSTREAM_TEST_DATABASE_DSN` (a role that may create databases and roles)
name running ones; what isn't named is started for the test session in a temporary folder and stopped after it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from confluent_kafka.admin import AdminClient
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from deploy.timescale.migrate import migrate
from services.contracts.topics import DEAD_LETTER, SPEND_SPIKES, USAGE_EVENTS, Topic
from services.runtime.embedded.backends import Backends, EmbeddedBackends
from services.runtime.topics import ensure_topics

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class FreshTopics:
    """The product's topics under names of this test's own; they exist."""

    prefix: str
    usage_events: Topic
    dead_letter: Topic
    spend_spikes: Topic


@contextmanager
def temporary_home() -> Iterator[Path]:
    """A data folder that is removed afterwards; the database's own user can pass through it."""
    folder = Path(tempfile.mkdtemp(prefix="spendstream-test-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running_backends() -> Iterator[Backends]:
    """A broker and a database for one test session."""
    bootstrap = os.environ.get("SPENDSTREAM_TEST_KAFKA_BOOTSTRAP", "")
    dsn = os.environ.get("SPENDSTREAM_TEST_DATABASE_DSN", "")
    if bootstrap and dsn:
        yield Backends(bootstrap, dsn)
        return
    with temporary_home() as home, EmbeddedBackends(home, kafka=not bootstrap, postgres=not dsn) as started:
        yield Backends(bootstrap or started.kafka_bootstrap, dsn or started.database_dsn)


@contextmanager
def fresh_database(dsn: str, revision: str = "head") -> Iterator[str]:
    """The DSN of a new database on the server of `dsn`, migrated to `revision`; it is dropped afterwards.

    No connection is held meanwhile: a test may kill the server.
    """
    name = f"test_{uuid.uuid4().hex[:12]}"
    identifier = sql.Identifier(name)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(identifier))
    try:
        fresh = with_database(dsn, name)
        migrate(fresh, revision)
        yield fresh
    finally:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(identifier))


@contextmanager
def fresh_topics(bootstrap: str) -> Iterator[FreshTopics]:
    """The product's topics, new and empty, under a prefix of their own; they are deleted afterwards."""
    prefix = f"t{uuid.uuid4().hex[:8]}."
    usage_events, dead_letter, spend_spikes = (
        replace(topic, name=prefix + topic.name) for topic in (USAGE_EVENTS, DEAD_LETTER, SPEND_SPIKES)
    )
    topics = FreshTopics(prefix, usage_events, dead_letter, spend_spikes)
    ensure_topics(bootstrap, [usage_events, dead_letter, spend_spikes])
    try:
        yield topics
    finally:
        admin = AdminClient({"bootstrap.servers": bootstrap})
        for future in admin.delete_topics([usage_events.name, dead_letter.name, spend_spikes.name]).values():
            future.exception(timeout=10)


def with_database(dsn: str, name: str) -> str:
    """The same server and user, another database, as a URL."""
    parts = conninfo_to_dict(dsn)
    return f"postgresql://{parts['user']}:{parts['password']}@{parts['host']}:{parts.get('port', 5432)}/{name}"
