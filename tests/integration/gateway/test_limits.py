"""Limits of rate and time at the gateway's doors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import httpx
import pytest

from services.gateway import body, grpc_door
from services.gateway.main import Gateway, running
from services.gateway.settings import GatewaySettings
from services.runtime.http_server import CarefulProtocol
from services.runtime.keys import KeyStore
from tests.integration.gateway.conftest import ADMIN_KEY, MakeKey, UsageTopic, usage_stub
from tests.integration.gateway.test_grpc_door import a_request, a_stream, bearer
from tests.integration.gateway.test_grpc_door import an_event as a_grpc_event
from tests.integration.gateway.test_http_door import an_event, detail, send


@pytest.fixture
async def slow(settings: GatewaySettings) -> AsyncIterator[Gateway]:
    """A gateway that lets a key send two requests and ten events at once, then a fifth of a request a second."""
    limits = {
        "gateway_key_requests_per_second": 0.2,
        "gateway_key_events_per_second": 100,
        "unknown_keys_per_minute": 2,
    }
    async with running(settings.model_copy(update=limits)) as started:
        yield started


@pytest.fixture
async def http(slow: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{slow.http_port}", timeout=30) as client:
        yield client


@pytest.fixture
async def stub(slow: Gateway) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{slow.grpc_port}") as channel:
        yield usage_stub(channel)


async def test_a_key_that_sends_too_often_is_told_when_to_come_again_and_others_go_on(
    http: httpx.AsyncClient,
    stub: Any,  # noqa: ANN401
    make_key: MakeKey,
    usage_topic: UsageTopic,
) -> None:
    key, other = await make_key("ingest", "acme"), await make_key("ingest", "bigco")
    for number in range(2):
        assert (await send(http, key, an_event(f"e-{number}"))).status_code == 200
    refused = await send(http, key, an_event("e-2"))
    assert "0.2 requests a second" in detail(refused, 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 5
    with pytest.raises(grpc.aio.AioRpcError) as also:
        await stub.RecordUsage(a_request([a_grpc_event("e-2")]), metadata=bearer(key))
    assert also.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    pushback = dict(also.value.trailing_metadata() or ())["grpc-retry-pushback-ms"]
    assert 1_000 <= int(pushback) <= 5_000
    assert (await send(http, other, an_event("o", tenant_id="bigco"))).status_code == 200
    assert sorted(usage_topic.event_ids()) == ["e-0", "e-1", "o"]


async def test_a_batch_beyond_the_rate_of_events_passes_whole_and_its_key_then_pauses(
    http: httpx.AsyncClient, make_key: MakeKey, usage_topic: UsageTopic
) -> None:
    key = await make_key("ingest", "acme")
    answer = await send(http, key, [an_event(f"e-{number}") for number in range(1_500)])
    assert answer.json()["accepted"] == 1_500
    refused = await send(http, key, an_event("late"))
    assert "100 events a second" in detail(refused, 429)
    assert 4 <= int(refused.headers["retry-after"]) <= 6
    assert len(usage_topic.event_ids()) == 1_500


async def test_a_stream_that_is_too_fast_is_slowed_down(stub: Any, make_key: MakeKey) -> None:  # noqa: ANN401
    key = await make_key("ingest", "acme")
    batches = [[a_grpc_event(f"{batch}-{number}") for number in range(550)] for batch in range(2)]
    started = time.monotonic()
    answer = await stub.StreamUsage(a_stream(*batches), metadata=bearer(key))
    assert answer.accepted == 1_100
    assert time.monotonic() - started > 0.9, "a hundred more than ten seconds' worth"


async def test_an_address_that_tries_many_unknown_keys_is_held_up_but_not_a_key_that_works(
    http: httpx.AsyncClient,
    stub: Any,  # noqa: ANN401
    make_key: MakeKey,
    keys: KeyStore,
) -> None:
    good = await make_key("ingest", "acme")
    assert (await send(http, good, an_event())).status_code == 200
    seen = [(await send(http, f"sps_wrong-{number}", an_event())).status_code for number in range(4)]
    assert seen == [401, 401, 429, 429]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.RecordUsage(a_request([a_grpc_event()]), metadata=bearer("sps_wrong"))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (await send(http, good, an_event())).status_code == 200
    assert (await send(http, ADMIN_KEY, an_event())).status_code == 200


async def _closed_after(port: int, *pieces: bytes) -> tuple[float, bytes]:
    """Seconds until the server closes a connection that sends these and then nothing, and what it said."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    started = time.monotonic()
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.3)
    said = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return time.monotonic() - started, said


@pytest.mark.parametrize("pieces", [[], [b"POST /v1/events HTTP/1.1\r\n", b"x-slow: 1\r\n"]])
async def test_a_head_that_does_not_come_closes_the_connection(
    slow: Gateway, monkeypatch: pytest.MonkeyPatch, pieces: list[bytes]
) -> None:
    monkeypatch.setattr(CarefulProtocol, "head_seconds_max", 1.0)
    took, said = await _closed_after(slow.http_port, *pieces)
    assert 0.9 < took < 4
    assert said == b""


async def test_a_body_that_does_not_come_is_said(slow: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CarefulProtocol, "head_seconds_max", 0.5)
    monkeypatch.setattr(body, "RECEIVE_SECONDS_MAX", 1.0)
    monkeypatch.setattr(body, "_DRAIN_SECONDS_MAX", 0.5)
    head = f"POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ADMIN_KEY}\r\ncontent-length: 100\r\n\r\n["
    took, said = await _closed_after(slow.http_port, head.encode())
    assert 0.9 < took < 8
    assert said.startswith(b"HTTP/1.1 408 ")


async def test_a_grpc_call_whose_message_does_not_come_ends(slow: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_door, "RECEIVE_SECONDS_MAX", 0.5)

    async def silent() -> AsyncIterator[bytes]:
        await asyncio.sleep(30)
        yield b""

    async with grpc.aio.insecure_channel(f"127.0.0.1:{slow.grpc_port}") as channel:
        for method in ("RecordUsage", "StreamUsage"):
            call = channel.stream_unary(f"/spendstream.v1.UsageService/{method}")  # type: ignore[var-annotated]
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await call(silent(), metadata=bearer(ADMIN_KEY))
            assert ended.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED, method
