"""The gateway as a process, and without the parts it needs."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import grpc
import httpx
import pytest
from pydantic import SecretStr

from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.gateway.main import running
from services.gateway.settings import GatewaySettings
from services.runtime.embedded.backends import Backends
from tests.backends import FreshTopics
from tests.integration.gateway.conftest import ADMIN_KEY, usage_stub
from tests.integration.gateway.test_grpc_door import a_request, an_event, bearer

ROOT = Path(__file__).resolve().parents[3]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _environment(settings: GatewaySettings, **changes: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "SPENDSTREAM_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "SPENDSTREAM_DATABASE_DSN": settings.database_dsn.get_secret_value(),
        "SPENDSTREAM_ADMIN_KEY": ADMIN_KEY,
        "SPENDSTREAM_USAGE_TOPIC": settings.usage_topic,
        **changes,
    }


def _command() -> list[str]:
    return [sys.executable, "-m", "services.gateway.main"]


def test_the_process_serves_and_stops_cleanly_and_logs_no_key(settings: GatewaySettings) -> None:
    http_port, grpc_port = _free_port(), _free_port()
    ports = {"SPENDSTREAM_GATEWAY_PORT": str(http_port), "SPENDSTREAM_GRPC_PORT": str(grpc_port)}
    with subprocess.Popen(
        _command(), cwd=ROOT, env=_environment(settings, **ports), stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            _wait_until_ready(http_port)
            headers = {"authorization": f"Bearer {ADMIN_KEY}"}
            url = f"http://127.0.0.1:{http_port}/v1/events"
            assert httpx.post(url, headers=headers, json=[{}]).status_code == 400
            process.send_signal(signal.SIGTERM)
            _, logged = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 0
    assert "gateway_ready" in logged
    assert ADMIN_KEY not in logged
    assert settings.database_dsn.get_secret_value() not in logged


def _wait_until_ready(port: int) -> None:
    for _ in range(200):
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("the gateway did not get ready")


@pytest.mark.parametrize("setting", ["SPENDSTREAM_GATEWAY_PORT", "SPENDSTREAM_GRPC_PORT"])
def test_a_port_in_use_is_said_in_one_line(settings: GatewaySettings, setting: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = {"SPENDSTREAM_GATEWAY_PORT": "0", "SPENDSTREAM_GRPC_PORT": "0", setting: str(taken.getsockname()[1])}
        ended = subprocess.run(
            _command(), cwd=ROOT, env=_environment(settings, **ports), capture_output=True, text=True, timeout=30
        )
    assert ended.returncode == 1
    assert f"{setting} {ports[setting]} can't be listened on" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_wrong_setting_is_said_by_name(settings: GatewaySettings) -> None:
    environment = _environment(settings, SPENDSTREAM_GATEWAY_PORT="web")
    ended = subprocess.run(_command(), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 2
    assert ended.stderr.startswith("SPENDSTREAM_GATEWAY_PORT: ")


async def test_without_kafka_callers_are_told_to_come_again(settings: GatewaySettings) -> None:
    nowhere = settings.model_copy(
        update={"kafka_bootstrap": f"127.0.0.1:{_free_port()}", "gateway_delivery_timeout_ms": 1_000}
    )
    async with running(nowhere) as gateway, httpx.AsyncClient(timeout=20) as client:
        base = f"http://127.0.0.1:{gateway.http_port}"
        event = {
            "event_id": "e-1",
            "occurred_at": "2026-10-01T12:30:00Z",
            "tenant_id": "acme",
            "provider": "openai",
            "model": "gpt-4o",
            "prompt_tokens": 1,
        }
        answer = await client.post(f"{base}/v1/events", json=event, headers={"authorization": f"Bearer {ADMIN_KEY}"})
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert (await client.get(f"{base}/readyz")).status_code == 503
        assert (await client.get(f"{base}/healthz")).status_code == 200
        async with grpc.aio.insecure_channel(f"127.0.0.1:{gateway.grpc_port}") as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await usage_stub(channel).RecordUsage(a_request([an_event()]), metadata=bearer(ADMIN_KEY))
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_without_the_database_only_the_settings_key_is_known(
    backends: Backends, kafka_topics: FreshTopics
) -> None:
    settings = GatewaySettings(
        kafka_bootstrap=backends.kafka_bootstrap,
        database_dsn=SecretStr(f"postgresql://nobody:x@127.0.0.1:{_free_port()}/none"),
        admin_key=SecretStr(ADMIN_KEY),
        gateway_port=0,
        grpc_port=0,
        usage_topic=kafka_topics.usage_events.name,
    )
    async with running(settings) as gateway, grpc.aio.insecure_channel(f"127.0.0.1:{gateway.grpc_port}") as channel:
        stub = usage_stub(channel)
        answer: usage_pb2.RecordUsageResponse = await stub.RecordUsage(
            a_request([an_event()]), metadata=bearer(ADMIN_KEY)
        )
        assert answer.accepted == 1
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.RecordUsage(a_request([an_event()]), metadata=bearer("sps_some-key"))
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
