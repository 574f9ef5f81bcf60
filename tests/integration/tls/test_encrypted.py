"""Broker and database over TLS: what is meant to be checked is checked, and the whole path works."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg
import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from pydantic import SecretStr

from deploy.timescale.migrate import migrate
from services.gateway.settings import GatewaySettings
from services.runtime.kafka_settings import KafkaSecurity, Mechanism
from services.runtime.topics import ensure_topics
from tests.backends import FreshTopics, temporary_home
from tests.integration.gateway.conftest import ADMIN_KEY
from tests.integration.gateway.gateway_process import gateway_process
from tests.integration.processor.running import Processor
from tests.integration.tls.certificates import Authority
from tests.integration.tls.servers import PASSWORD, USER, SecureKafka, postgres_programs, secure_kafka, secure_postgres


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with temporary_home() as path:
        yield path


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(folder, "authority")


@pytest.fixture(scope="module")
def kafka(folder: Path, authority: Authority) -> Iterator[SecureKafka]:
    with temporary_home() as home, secure_kafka(home, authority.server("broker")) as running:
        yield running


@pytest.fixture(scope="module")
def security(authority: Authority) -> KafkaSecurity:
    return KafkaSecurity("SASL_SSL", "SCRAM-SHA-512", USER, SecretStr(PASSWORD), authority.certificate)


@pytest.fixture(scope="module")
def postgres(folder: Path, authority: Authority) -> Iterator[str]:
    programs = postgres_programs()
    if programs is None:
        pytest.skip("no PostgreSQL with TLS here: the embedded one is built without (apt-get install postgresql)")
    with secure_postgres(folder, programs, authority.server("database")) as dsn:
        yield dsn


def sees_topics(bootstrap: str, security: KafkaSecurity) -> bool:
    client = AdminClient(security.client_config(bootstrap) | {"log_level": 0, "reconnect.backoff.max.ms": 100})
    try:
        return bool(client.list_topics(timeout=5).brokers)
    except KafkaException:
        return False


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
def test_a_client_with_name_password_and_the_right_authority_gets_in(
    kafka: SecureKafka, security: KafkaSecurity, mechanism: Mechanism
) -> None:
    assert sees_topics(kafka.secure_bootstrap, replace(security, mechanism=mechanism))


def test_another_authority_another_password_and_no_tls_do_not(
    kafka: SecureKafka, security: KafkaSecurity, folder: Path
) -> None:
    stranger = Authority(folder, "stranger").certificate
    assert not sees_topics(kafka.secure_bootstrap, replace(security, ca_file=stranger))
    assert not sees_topics(kafka.secure_bootstrap, replace(security, password=SecretStr("wrong")))
    assert not sees_topics(kafka.secure_bootstrap, replace(security, protocol="SASL_PLAINTEXT"))
    assert not sees_topics(kafka.secure_bootstrap, KafkaSecurity())


def test_the_database_is_verified_and_lets_nobody_in_without_tls(
    postgres: str, authority: Authority, folder: Path
) -> None:
    with psycopg.connect(postgres, sslmode="verify-full", sslrootcert=str(authority.certificate)) as connection:
        row = connection.execute("SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()
    assert row is not None
    assert row[0] is True
    assert row[1] >= "TLSv1.2"
    stranger = Authority(folder, "another").certificate
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        psycopg.connect(postgres, sslmode="verify-full", sslrootcert=str(stranger))
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgres, sslmode="disable")


def test_an_event_goes_all_the_way_over_tls(
    kafka: SecureKafka, security: KafkaSecurity, postgres: str, authority: Authority, tmp_path: Path
) -> None:
    dsn = f"{postgres}?sslmode=verify-full&sslrootcert={authority.certificate}"
    migrate(dsn)
    topics = fresh(kafka, security)
    environment = {
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "KAFKA_SASL_USERNAME": USER,
        "KAFKA_SASL_PASSWORD": PASSWORD,
        "KAFKA_SSL_CA": str(authority.certificate),
    }
    settings = GatewaySettings(
        kafka_bootstrap=kafka.secure_bootstrap,
        database_dsn=SecretStr(dsn),
        usage_topic=topics.usage_events.name,
        kafka_security_protocol="SASL_SSL",
        kafka_sasl_username=USER,
        kafka_sasl_password=SecretStr(PASSWORD),
        kafka_ssl_ca=authority.certificate,
    )
    processor = Processor(kafka.secure_bootstrap, dsn, topics, tmp_path / "processor.log", settings=environment)
    processor.start()
    try:
        with gateway_process(
            settings, tmp_path / "gateway.log", **{f"SPENDSTREAM_{k}": v for k, v in environment.items()}
        ) as url:
            answer = httpx.post(f"{url}/v1/events", json=event(), headers={"Authorization": f"Bearer {ADMIN_KEY}"})
        assert answer.json() == {"accepted": 1, "rejected": []}
        processor.wait_read(1, seconds=60)
    finally:
        processor.stop()
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT sum(calls), sum(billed_pico_usd) FROM usage_minute").fetchone() == (
            1,
            69_000_000,
        )
    for log in (tmp_path / "processor.log", tmp_path / "gateway.log"):
        assert PASSWORD not in log.read_text()
        assert ADMIN_KEY not in log.read_text()


def fresh(kafka: SecureKafka, security: KafkaSecurity) -> FreshTopics:
    from services.contracts.topics import DEAD_LETTER, SPEND_SPIKES, USAGE_EVENTS

    prefix = f"t{uuid.uuid4().hex[:8]}."
    usage, dead, spikes = (
        replace(topic, name=prefix + topic.name) for topic in (USAGE_EVENTS, DEAD_LETTER, SPEND_SPIKES)
    )
    ensure_topics(kafka.secure_bootstrap, [usage, dead, spikes], security=security)
    return FreshTopics(prefix, usage, dead, spikes)


def event() -> dict[str, object]:
    return {
        "event_id": str(uuid.uuid4()), "occurred_at": datetime.now(UTC).isoformat(), "tenant_id": "acme-corp",
        "provider": "openai", "model": "gpt-4o-mini", "prompt_tokens": 180, "completion_tokens": 70,
    }  # fmt: skip
