"""The gRPC door on the real broker and database."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.gateway.main import Gateway, running
from services.gateway.settings import GRPC_CALLS_MAX, GatewaySettings
from tests.integration.gateway.conftest import ADMIN_KEY, MakeKey, UsageTopic, usage_stub
from tests.integration.tls.certificates import Authority

Stub = Any  # generated without types


def an_event(event_id: str = "e-1", tenant_id: str = "acme") -> usage_pb2.UsageEvent:
    event = usage_pb2.UsageEvent(event_id=event_id, tenant_id=tenant_id, provider="openai", model="gpt-4o")
    event.occurred_at.seconds = 1_790_857_800
    event.usage.input_uncached = 10
    return event


def a_request(events: Iterable[usage_pb2.UsageEvent]) -> usage_pb2.RecordUsageRequest:
    return usage_pb2.RecordUsageRequest(batch=usage_pb2.UsageBatch(events=events))


async def a_stream(*batches: Iterable[usage_pb2.UsageEvent]) -> AsyncIterator[usage_pb2.StreamUsageRequest]:
    for events in batches:
        yield usage_pb2.StreamUsageRequest(batch=usage_pb2.UsageBatch(events=events))


def bearer(key: str) -> tuple[tuple[str, str]]:
    return (("authorization", f"Bearer {key}"),)


@pytest.fixture
async def channel(gateway: Gateway) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{gateway.grpc_port}") as opened:
        yield opened


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> Stub:
    return usage_stub(channel)


async def test_a_unary_batch_is_in_kafka_before_the_answer(
    stub: Stub, make_key: MakeKey, usage_topic: UsageTopic
) -> None:
    key = await make_key("ingest", "acme")
    events = [an_event("a"), an_event("b", "bigco"), an_event("c", "")]
    answer = await stub.RecordUsage(a_request(events), metadata=bearer(key))
    assert answer.accepted == 2
    assert [(r.index, r.event_id, r.reason) for r in answer.rejected] == [
        (1, "b", "tenant_id is not the tenant of this key")
    ]
    [stored] = usage_topic.read()
    assert (stored.key, stored.batch.door) == ("acme", "grpc")
    assert [(e.event_id, e.tenant_id) for e in stored.batch.events] == [("a", "acme"), ("c", "acme")]


async def test_a_stream_is_answered_over_all_its_batches(stub: Stub, usage_topic: UsageTopic) -> None:
    batches = [[an_event(f"{b}-{i}") for i in range(300)] for b in range(20)]
    batches[2][5].model = ""
    answer = await stub.StreamUsage(a_stream(*batches), metadata=bearer(ADMIN_KEY))
    assert answer.accepted == 5_999
    assert [(r.index, r.event_id, r.reason) for r in answer.rejected] == [(605, "2-5", "model is required")]
    sent = [e.event_id for batch in batches for e in batch]
    sent.remove("2-5")
    assert usage_topic.event_ids() == sent


async def test_http_and_grpc_give_the_same_bytes(stub: Stub, usage_topic: UsageTopic) -> None:
    await stub.RecordUsage(a_request([an_event()]), metadata=bearer(ADMIN_KEY))
    [stored] = usage_topic.read()
    assert stored.batch.events[0].SerializeToString() == an_event().SerializeToString(deterministic=True)


async def test_keys_decide_who_may_send(stub: Stub, make_key: MakeKey) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.RecordUsage(a_request([an_event()]))
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.StreamUsage(a_stream([an_event()]), metadata=bearer("sps_unknown"))
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.RecordUsage(a_request([an_event()]), metadata=bearer(await make_key("viewer", "acme")))
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize(
    ("count", "complaint"), [(0, "the batch is empty"), (10_001, "more than 10000 events in one batch")]
)
async def test_an_empty_and_an_overfull_batch_are_refused(
    stub: Stub, count: int, complaint: str, usage_topic: UsageTopic
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.RecordUsage(a_request([an_event()] * count), metadata=bearer(ADMIN_KEY))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert complaint in str(refused.value.details())
    assert usage_topic.read() == []


async def test_an_empty_stream_is_refused(stub: Stub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.StreamUsage(a_stream(), metadata=bearer(ADMIN_KEY))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_bytes_that_are_no_request_are_an_invalid_argument(channel: grpc.aio.Channel) -> None:
    record: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
        "/spendstream.v1.UsageService/RecordUsage"
    )
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await record(b"\xff\xff garbage", metadata=bearer(ADMIN_KEY))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_message_of_30_mb_is_refused(channel: grpc.aio.Channel) -> None:
    record: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
        "/spendstream.v1.UsageService/RecordUsage"
    )
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await record(b"\0" * 30_000_000, metadata=bearer(ADMIN_KEY))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_health_and_reflection_are_there(channel: grpc.aio.Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    answer = await health.Check(health_pb2.HealthCheckRequest(service="spendstream.v1.UsageService"))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    [listed] = [r async for r in reflection.ServerReflectionInfo(iter([request]))]
    assert "spendstream.v1.UsageService" in {s.name for s in listed.list_services_response.service}


async def test_a_bad_event_is_named_and_its_neighbours_are_taken(stub: Stub, usage_topic: UsageTopic) -> None:
    without_usage, nameless, future = an_event("no-usage"), an_event(""), an_event("year-2200")
    without_usage.ClearField("usage")
    future.occurred_at.seconds = 7_258_118_400
    events = [an_event("good"), without_usage, nameless, future]
    answer = await stub.RecordUsage(a_request(events), metadata=bearer(ADMIN_KEY))
    assert answer.accepted == 1
    assert [(r.index, r.event_id, r.reason) for r in answer.rejected] == [
        (1, "no-usage", "usage is required: at least one usage class or unit"),
        (2, "", "event_id is required"),
        (3, "year-2200", "occurred_at is not within the years 2000 to 2099"),
    ]
    assert usage_topic.event_ids() == ["good"]


async def test_a_deadline_is_kept_and_what_was_under_way_is_safe_to_send_again(
    settings: GatewaySettings, usage_topic: UsageTopic
) -> None:
    slow = settings.model_copy(update={"gateway_linger_ms": 1_000.0})
    async with running(slow) as gateway, grpc.aio.insecure_channel(f"127.0.0.1:{gateway.grpc_port}") as channel:
        stub = usage_stub(channel)
        started = time.monotonic()
        with pytest.raises(grpc.aio.AioRpcError) as late:
            await stub.RecordUsage(a_request([an_event()]), metadata=bearer(ADMIN_KEY), timeout=0.2)
        assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert time.monotonic() - started < 0.9
        answer = await stub.RecordUsage(a_request([an_event()]), metadata=bearer(ADMIN_KEY), timeout=10)
        assert answer.accepted == 1
    assert set(usage_topic.event_ids()) == {"e-1"}


async def test_more_calls_at_once_than_the_limit_are_told_to_come_again(channel: grpc.aio.Channel, stub: Stub) -> None:
    hold = asyncio.Event()

    async def held() -> AsyncIterator[usage_pb2.StreamUsageRequest]:
        yield usage_pb2.StreamUsageRequest(batch=usage_pb2.UsageBatch(events=[an_event()]))
        await hold.wait()

    streams = [stub.StreamUsage(held(), metadata=bearer(ADMIN_KEY)) for _ in range(GRPC_CALLS_MAX)]
    await asyncio.sleep(0.5)  # until all of them have arrived
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.RecordUsage(a_request([an_event()]), metadata=bearer(ADMIN_KEY), timeout=10)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    hold.set()
    answers = await asyncio.gather(*streams)
    assert {answer.accepted for answer in answers} == {1}
    assert (await stub.RecordUsage(a_request([an_event()]), metadata=bearer(ADMIN_KEY))).accepted == 1


async def test_both_doors_speak_tls_and_only_to_who_trusts_the_authority(
    settings: GatewaySettings, tmp_path: Path
) -> None:
    authority = Authority(tmp_path, "authority")
    server = authority.server("gateway")
    tls = {"gateway_host": "localhost", "gateway_tls_certificate": server.certificate, "gateway_tls_key": server.key}
    trusted = grpc.ssl_channel_credentials(authority.certificate.read_bytes())
    stranger = grpc.ssl_channel_credentials(Authority(tmp_path, "stranger").certificate.read_bytes())
    async with running(settings.model_copy(update=tls)) as gateway:
        address = f"localhost:{gateway.grpc_port}"
        async with grpc.aio.secure_channel(address, trusted) as channel:
            answer = await usage_stub(channel).RecordUsage(a_request([an_event()]), metadata=bearer(ADMIN_KEY))
            assert answer.accepted == 1
        for channel in (grpc.aio.secure_channel(address, stranger), grpc.aio.insecure_channel(address)):
            async with channel:
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await usage_stub(channel).RecordUsage(a_request([an_event()]), metadata=bearer(ADMIN_KEY))
                assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        url = f"https://localhost:{gateway.http_port}/readyz"
        context = ssl.create_default_context(cafile=str(authority.certificate))
        async with httpx.AsyncClient(verify=context) as client:
            assert (await client.get(url)).status_code == 200
        with pytest.raises(httpx.ConnectError):
            async with httpx.AsyncClient() as client:
                await client.get(url)
