"""The gateway as a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from services.gateway.settings import GatewaySettings
from tests.integration.gateway.conftest import ADMIN_KEY

ROOT = Path(__file__).resolve().parents[3]
COMMAND = (sys.executable, "-m", "services.gateway.main")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(settings: GatewaySettings, **changes: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "SPENDSTREAM_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "SPENDSTREAM_DATABASE_DSN": settings.database_dsn.get_secret_value(),
        "SPENDSTREAM_ADMIN_KEY": ADMIN_KEY,
        "SPENDSTREAM_USAGE_TOPIC": settings.usage_topic,
        "SPENDSTREAM_GATEWAY_DELIVERY_TIMEOUT_MS": str(settings.gateway_delivery_timeout_ms),
        **changes,
    }


@contextmanager
def gateway_process(settings: GatewaySettings, log: Path, **changes: str) -> Iterator[str]:
    """The HTTP address of a ready gateway; asked to stop afterwards, which it must do cleanly."""
    port = free_port()
    ports = {"SPENDSTREAM_GATEWAY_PORT": str(port), "SPENDSTREAM_GRPC_PORT": "0"}
    with (
        log.open("wb") as output,
        subprocess.Popen(COMMAND, cwd=ROOT, env=environment(settings, **ports, **changes), stderr=output) as process,
    ):
        try:
            _wait_until_ready(port)
            yield f"http://127.0.0.1:{port}"
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        finally:
            process.kill()


def _wait_until_ready(port: int) -> None:
    for _ in range(200):
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("the gateway did not get ready")
