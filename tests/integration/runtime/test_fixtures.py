"""The fixtures that other tests rely on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from confluent_kafka.admin import AdminClient

if TYPE_CHECKING:
    from services.runtime.embedded.backends import Backends
    from tests.backends import FreshTopics


def test_the_database_fixture_is_migrated(database: str) -> None:
    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT count(*) FROM alembic_version").fetchone()
    assert row == (1,)


def test_the_topics_fixture_has_its_own_topics(backends: Backends, kafka_topics: FreshTopics) -> None:
    names = AdminClient({"bootstrap.servers": backends.kafka_bootstrap}).list_topics(timeout=10).topics
    assert kafka_topics.usage_events.name in names
    assert kafka_topics.usage_events.name.startswith(kafka_topics.prefix)
