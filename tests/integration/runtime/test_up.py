"""`spendstream up` where it can't start. That it starts, stops and is killed: tests/e2e/system."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from services.runtime.embedded.ports import any_free_port
from tests.backends import temporary_home

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
