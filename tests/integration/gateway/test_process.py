"""The gateway as a process, and without the parts it needs."""

from __future__ import annotations

import socket
import subprocess
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
from tests.integration.gateway.gateway_process import COMMAND, ROOT, environment, free_port, gateway_process
from tests.integration.gateway.test_grpc_door import a_request, an_event, bearer
from tests.integration.tls.certificates import Authority


def test_the_process_serves_and_stops_cleanly_and_logs_no_key(settings: GatewaySettings, tmp_path: Path) -> None:
    log = tmp_path / "gateway.log"
    with gateway_process(settings, log) as url:
        headers = {"authorization": f"Bearer {ADMIN_KEY}"}
        assert httpx.post(f"{url}/v1/events", headers=headers, json=[{}]).status_code == 400
    logged = log.read_text()
    assert "gateway_ready" in logged
    assert ADMIN_KEY not in logged
    assert settings.database_dsn.get_secret_value() not in logged


@pytest.mark.parametrize("setting", ["SPENDSTREAM_GATEWAY_PORT", "SPENDSTREAM_GRPC_PORT"])
def test_a_port_in_use_is_said_in_one_line(settings: GatewaySettings, setting: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = {"SPENDSTREAM_GATEWAY_PORT": "0", "SPENDSTREAM_GRPC_PORT": "0", setting: str(taken.getsockname()[1])}
        ended = subprocess.run(
            COMMAND, cwd=ROOT, env=environment(settings, **ports), capture_output=True, text=True, timeout=30
        )
    assert ended.returncode == 1
    assert f"{setting} {ports[setting]} can't be listened on" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_wrong_setting_is_said_by_name(settings: GatewaySettings) -> None:
    wrong = environment(settings, SPENDSTREAM_GATEWAY_PORT="web")
    ended = subprocess.run(COMMAND, cwd=ROOT, env=wrong, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 2
    assert ended.stderr.startswith("SPENDSTREAM_GATEWAY_PORT: ")


@pytest.mark.parametrize("swapped", [False, True])
def test_a_certificate_and_a_key_that_are_no_pair_are_said_by_name(
    settings: GatewaySettings, tmp_path: Path, *, swapped: bool
) -> None:
    authority = Authority(tmp_path, "authority")
    one, other = authority.server("one"), authority.server("other")
    certificate, key = (one.key, one.certificate) if swapped else (one.certificate, other.key)
    names = {"SPENDSTREAM_GATEWAY_TLS_CERTIFICATE": str(certificate), "SPENDSTREAM_GATEWAY_TLS_KEY": str(key)}
    ended = subprocess.run(
        COMMAND, cwd=ROOT, env=environment(settings, **names), capture_output=True, text=True, timeout=30
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith(" and ".join(names))


async def test_without_kafka_callers_are_told_to_come_again(settings: GatewaySettings) -> None:
    nowhere = settings.model_copy(
        update={"kafka_bootstrap": f"127.0.0.1:{free_port()}", "gateway_delivery_timeout_ms": 1_000}
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
        database_dsn=SecretStr(f"postgresql://nobody:x@127.0.0.1:{free_port()}/none"),
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
