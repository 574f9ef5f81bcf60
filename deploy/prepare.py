"""Makes database and broker ready for the services: `python -m deploy.prepare`, before each start of a new version.

Waits until both answer, brings the schema up to date, creates missing topics and, where a password is given, Grafana's
login. Safe to repeat, and from several places at once.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace

import psycopg
import structlog
from confluent_kafka import KafkaException
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from deploy.timescale.migrate import migrate
from deploy.timescale.operator_login import ensure_login
from services.contracts.topics import TOPICS, USAGE_EVENTS, Topic
from services.runtime.configured import read_settings
from services.runtime.kafka_settings import KafkaSecuritySettings
from services.runtime.logs import configure_logging
from services.runtime.topics import ensure_topics

log = structlog.get_logger(__name__)
_AWAY = (psycopg.OperationalError, OperationalError, KafkaException)


class PrepareSettings(KafkaSecuritySettings):
    """Each is `SPENDSTREAM_` and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix="SPENDSTREAM_", frozen=True, extra="ignore", env_ignore_empty=True)

    database_dsn: SecretStr
    kafka_bootstrap: str = Field(min_length=1)
    # Of topics that are created; those that exist are left as they are.
    kafka_replication: int = Field(default=1, ge=1, le=10)
    usage_partitions: int = Field(default=USAGE_EVENTS.partitions, ge=1, le=1_000)
    # Grafana's login that sees all tenants; without a password none is made.
    grafana_login: str = Field(default="spendstream_grafana_all", pattern=r"^[a-z_][a-z0-9_]{0,62}$")
    grafana_password: SecretStr | None = None
    prepare_seconds_max: float = Field(default=120.0, gt=0)
    log_level: str = "info"


def prepare(settings: PrepareSettings, clock: Callable[[], float] = time.monotonic) -> None:
    """Returns when all is there; raises what kept it from being done within `prepare_seconds_max`."""
    dsn = settings.database_dsn.get_secret_value()
    deadline = clock() + settings.prepare_seconds_max
    _until_there("database", lambda: migrate(dsn), deadline, clock)
    if settings.grafana_password is not None:
        with psycopg.connect(dsn) as connection:
            ensure_login(connection, settings.grafana_login, settings.grafana_password.get_secret_value())
    topics = _topics(settings.usage_partitions)
    _until_there(
        "broker",
        lambda: ensure_topics(settings.kafka_bootstrap, topics, settings.kafka_replication, settings.kafka_security),
        deadline,
        clock,
    )
    log.info("prepared", topics=[topic.name for topic in topics])


def _topics(usage_partitions: int) -> list[Topic]:
    return [replace(topic, partitions=usage_partitions) if topic is USAGE_EVENTS else topic for topic in TOPICS]


def _until_there(what: str, work: Callable[[], None], deadline: float, clock: Callable[[], float]) -> None:
    while True:
        try:
            work()
        except _AWAY as error:
            if clock() >= deadline:
                raise
            log.warning("will try again", waits_for=what, error=str(error).splitlines()[0])
            time.sleep(1.0)
        else:
            return


def main() -> int:
    settings = read_settings(PrepareSettings)
    if settings is None:
        return 2
    configure_logging("prepare", settings.log_level)
    try:
        prepare(settings)
    except (*_AWAY, psycopg.Error, SQLAlchemyError, ValueError) as error:
        # The first lines say it; a statement that failed for want of a right may be long.
        log.critical("not prepared", error=" ".join(str(error).splitlines()[:2]))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
