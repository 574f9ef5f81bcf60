"""The gRPC door on the real broker and database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.gateway.main import Gateway
from tests.integration.gateway.conftest import ADMIN_KEY, MakeKey, UsageTopic, usage_stub

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
