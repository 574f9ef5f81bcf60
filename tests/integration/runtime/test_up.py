"""`spendstream up` as a person runs it: from its first line to the last process gone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import psycopg
import pytest

from services.cli.running import FILE_NAME, Running, find_running
from services.runtime.embedded.ports import any_free_port
from tests.backends import temporary_home
from tests.processes import has_ended

_READY_SECONDS_MAX = 60
_PORTS = ("QUERY", "GATEWAY", "GRPC", "PROCESSOR", "ALERTING", "DEMO")


@pytest.fixture
def home() -> Iterator[Path]:
    with temporary_home() as folder:
        yield folder


def _settings(home: Path, **more: str) -> Mapping[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("SPENDSTREAM_")}
    ports = {f"SPENDSTREAM_{name}_PORT": str(any_free_port()) for name in _PORTS}
    return {**own, **ports, "SPENDSTREAM_HOME": str(home), "SPENDSTREAM_DEMO": "0", **more}


def _start(settings: Mapping[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "services.cli.main", "up"]
    return subprocess.Popen(command, env=settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _wait_ready(process: subprocess.Popen[str], home: Path) -> Running:
    deadline = time.monotonic() + _READY_SECONDS_MAX
    while (running := find_running(home)) is None:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "it wasn't ready in time"
        time.sleep(0.1)
    return running


def _descendants(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def test_it_says_where_it_is_and_after_ctrl_c_nothing_is_left(home: Path) -> None:
    settings = _settings(home, SPENDSTREAM_ADMIN_KEY="a-key-of-the-operator")
    process = _start(settings)
    running = _wait_ready(process, home)
    children = _descendants(process)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 0
    assert len(children) > 5
    assert all(has_ended(child) for child in children)
    assert running.urls["query"].endswith(settings["SPENDSTREAM_QUERY_PORT"])
    assert running.admin_key == "a-key-of-the-operator"
    assert f"{running.urls['query']}/sign-in?token=" in said
    assert not (home / FILE_NAME).exists()


def test_nothing_is_left_when_it_is_killed_and_it_starts_again_on_the_same_data(home: Path) -> None:
    process = _start(_settings(home))
    first = _wait_ready(process, home)
    children = _descendants(process)
    with psycopg.connect(first.database_dsn, autocommit=True) as connection:
        connection.execute("INSERT INTO tenant (tenant_id, name) VALUES ('kept', 'kept')")
    process.kill()
    process.communicate()
    # At once, while broker and database are still stopping: the start waits for them.
    again = _start(_settings(home))
    second = _wait_ready(again, home)
    assert all(has_ended(child) for child in children)
    with psycopg.connect(second.database_dsn) as connection:
        assert connection.execute("SELECT count(*) FROM tenant WHERE tenant_id = 'kept'").fetchone() == (1,)
    again.send_signal(signal.SIGTERM)
    again.communicate(timeout=60)
    assert again.returncode == 0
    assert second.admin_key == first.admin_key


def test_a_port_that_was_asked_for_and_is_busy_is_refused_in_one_line(home: Path) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = str(server.getsockname()[1])
        process = _start(_settings(home, SPENDSTREAM_GATEWAY_PORT=port))
        said = process.communicate(timeout=30)[0]
    assert process.returncode == 1
    assert f"Port {port}, asked for by SPENDSTREAM_GATEWAY_PORT, is in use" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(("name", "value"), [("SPENDSTREAM_QUERY_PORT", "eighty"), ("SPENDSTREAM_GRPC_PORT", "70000")])
def test_a_setting_that_makes_no_sense_is_named(home: Path, name: str, value: str) -> None:
    process = _start(_settings(home, **{name: value}))
    said = process.communicate(timeout=30)[0]
    assert process.returncode == 1
    assert name in said
    assert "Traceback" not in said
