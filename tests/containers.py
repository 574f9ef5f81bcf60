"""TimescaleDB for tests: the one the environment names, else compose's image in a container where Docker is."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import psycopg
import yaml
from docker.errors import DockerException
from testcontainers.core.container import DockerContainer

_COMPOSE = Path(__file__).parents[1] / "docker-compose.yml"
_READY_SECONDS = 120


def docker_answers() -> bool:
    """Whether there is a Docker engine and not only its client."""
    try:
        client = docker.from_env(timeout=5)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except DockerException:
        return False


@contextmanager
def timescale() -> Iterator[str]:
    """The DSN of a server whose role may create databases and roles; "" where there is none and none can be had."""
    named = os.environ.get("SPENDSTREAM_TEST_TIMESCALE_DSN", "")
    if named or not docker_answers():
        yield named
        return
    password = secrets.token_urlsafe(16)
    image = yaml.safe_load(_COMPOSE.read_text())["services"]["timescaledb"]["image"]
    container = DockerContainer(image).with_env("POSTGRES_PASSWORD", password).with_exposed_ports(5432)
    with container:
        address = f"{container.get_container_host_ip()}:{container.get_exposed_port(5432)}"
        dsn = f"postgresql://postgres:{password}@{address}/postgres"
        _wait_until_it_answers(dsn)
        yield dsn


def _wait_until_it_answers(dsn: str) -> None:
    """Twice in a row: the image's first start ends a server of its own before the real one comes."""
    deadline = time.monotonic() + _READY_SECONDS
    answered = 0
    while answered < 2:
        try:
            with psycopg.connect(dsn, connect_timeout=5) as connection:
                connection.execute("SELECT 1")
            answered += 1
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, f"TimescaleDB's container didn't answer within {_READY_SECONDS} s"
            answered = 0
        time.sleep(1)
