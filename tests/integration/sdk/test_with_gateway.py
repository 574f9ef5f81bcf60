"""The SDK with the real gateway and the real broker."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from spendstream_sdk import Limits, Meter, Stats

from services.gateway.main import Gateway, running
from services.gateway.settings import GatewaySettings
from tests.integration.gateway.conftest import MakeKey, UsageTopic

SDK = Path(__file__).resolve().parents[3] / "services" / "sdk"


async def test_what_is_recorded_is_in_kafka_as_it_was_recorded(
    gateway: Gateway, make_key: MakeKey, usage_topic: UsageTopic
) -> None:
    key = await make_key("ingest", "acme")
    with Meter(f"http://127.0.0.1:{gateway.http_port}", key, "acme", defaults={"feature": "chat"}) as meter:
        with meter.run("planner") as run, meter.section("tool:search"):
            meter.record(provider="openai", model="gpt-4o", prompt_tokens=100, cached_tokens=40, completion_tokens=7)
        assert await asyncio.to_thread(meter.flush, 10)
        assert meter.stats() == Stats(sent=1)
    (stored,) = usage_topic.read()
    (event,) = stored.batch.events
    assert (stored.key, event.feature, event.agent_id, event.run_id) == ("acme", "chat", "planner", run.run_id)
    assert event.section_path == "agent:planner/tool:search"
    assert (event.usage.input_uncached, event.usage.cache_read, event.usage.output_text) == (60, 40, 7)


async def test_calls_for_another_tenant_than_the_keys_are_rejected_and_their_neighbours_are_not(
    gateway: Gateway, make_key: MakeKey
) -> None:
    key = await make_key("ingest", "acme")
    with Meter(f"http://127.0.0.1:{gateway.http_port}", key, "acme") as meter:
        meter.record(provider="openai", model="gpt-4o", prompt_tokens=1, tenant_id="bigco")
        meter.record(provider="openai", model="gpt-4o", prompt_tokens=1)
        assert await asyncio.to_thread(meter.flush, 10)
        assert meter.stats() == Stats(sent=1, rejected=1)


async def test_a_key_nobody_knows_costs_the_caller_nothing_but_a_count(gateway: Gateway) -> None:
    with Meter(f"http://127.0.0.1:{gateway.http_port}", "sps_unknown", "acme") as meter:
        meter.record(provider="openai", model="gpt-4o", prompt_tokens=1)
        assert await asyncio.to_thread(meter.flush, 10)
        assert meter.stats() == Stats(failed=1)


def test_the_way_straight_to_kafka_carries_the_same_events_by_tenant(
    settings: GatewaySettings, usage_topic: UsageTopic
) -> None:
    with Meter.over_kafka(settings.kafka_bootstrap, "acme", topic=settings.usage_topic) as meter:
        for number in range(1_001):
            tenant_id = "bigco" if number % 3 == 0 else None
            meter.record(provider="openai", model="gpt-4o", prompt_tokens=number, tenant_id=tenant_id)
        assert meter.flush(20)
        assert meter.stats() == Stats(sent=1_001)
    stored = usage_topic.read()
    prompts = [event.usage.input_uncached for each in stored for event in each.batch.events]
    assert sorted(prompts) == list(range(1_001))
    assert all({event.tenant_id for event in each.batch.events} == {each.key} for each in stored)
    assert {each.batch.door for each in stored} == {"sdk"}


def test_without_a_broker_the_way_to_kafka_waits_and_says_what_failed() -> None:
    meter = Meter.over_kafka("127.0.0.1:9", "acme", timeout_seconds=0.5)
    meter.record(provider="openai", model="gpt-4o", prompt_tokens=1)
    meter.close(1)
    assert meter.stats().failed == 1


async def test_grpc_carries_the_same_events(gateway: Gateway, make_key: MakeKey, usage_topic: UsageTopic) -> None:
    key = await make_key("ingest", "acme")
    with Meter.over_grpc(f"127.0.0.1:{gateway.grpc_port}", key, "acme") as meter:
        with meter.run("planner"):
            for number in range(1_001):
                meter.record(provider="openai", model="gpt-4o", prompt_tokens=number, metadata={"n": str(number)})
        meter.record(provider="openai", model="gpt-4o", prompt_tokens=1, tenant_id="bigco")
        assert await meter.flush_async(20)
        assert meter.stats() == Stats(sent=1_001, rejected=1)
    events = [event for stored in usage_topic.read() for event in stored.batch.events]
    assert sorted(event.usage.input_uncached for event in events) == list(range(1_001))
    assert {(event.tenant_id, event.agent_id, len(event.metadata)) for event in events} == {("acme", "planner", 1)}


async def test_over_grpc_a_wrong_key_is_a_count_and_nobody_there_is_a_wait(gateway: Gateway) -> None:
    with Meter.over_grpc(f"127.0.0.1:{gateway.grpc_port}", "sps_unknown", "acme") as meter:
        meter.record(provider="openai", model="gpt-4o", prompt_tokens=1)
        assert await meter.flush_async(10)
        assert meter.stats() == Stats(failed=1)
    away = Meter.over_grpc("127.0.0.1:9", "key", "acme", timeout_seconds=0.5)
    away.record(provider="openai", model="gpt-4o", prompt_tokens=1)
    assert not await asyncio.to_thread(away.flush, 0.5)
    assert away.stats() == Stats(queued=1)
    await asyncio.to_thread(away.close, 0.2)
    assert away.stats() == Stats(failed=1)


async def test_a_key_that_sends_too_fast_is_slowed_down_and_loses_nothing(
    settings: GatewaySettings, make_key: MakeKey, usage_topic: UsageTopic
) -> None:
    # Ten seconds of the rate may come at once: twenty requests, then two a second.
    slow = settings.model_copy(update={"gateway_key_requests_per_second": 2.0})
    one_by_one = Limits(batch_events_max=1, linger_seconds=0)
    async with running(slow) as gateway:
        key = await make_key("ingest", "acme")
        with Meter.over_grpc(f"127.0.0.1:{gateway.grpc_port}", key, "acme", limits=one_by_one) as meter:
            for number in range(22):
                meter.record(provider="openai", model="gpt-4o", prompt_tokens=number)
            assert await meter.flush_async(20)
            assert meter.stats() == Stats(sent=22)
    assert len(set(usage_topic.event_ids())) == 22


@pytest.mark.parametrize(
    "way", ["over_grpc({grpc!r}, {key!r}, 'acme')", "over_kafka({kafka!r}, 'acme', topic={topic!r})"]
)
async def test_a_fork_and_an_exit_lose_and_repeat_nothing_over_grpc_and_kafka(
    gateway: Gateway, settings: GatewaySettings, make_key: MakeKey, usage_topic: UsageTopic, way: str
) -> None:
    made = way.format(
        grpc=f"127.0.0.1:{gateway.grpc_port}", key=await make_key("ingest", "acme"),
        kafka=settings.kafka_bootstrap, topic=settings.usage_topic,
    )  # fmt: skip
    program = (
        "import os\n"
        "from spendstream_sdk import Meter\n"
        f"meter = Meter.{made}\n"
        "def record(n):\n"
        "    for _ in range(n):\n        meter.record(provider='p', model='m', prompt_tokens=1)\n"
        "record(10)\nassert meter.flush()\nrecord(5)\n"
        "child = os.fork()\n"
        "record(3)\n"
        "if child == 0:\n"
        "    ok = meter.flush(20) and meter.stats().sent == 3\n"
        "    os._exit(0 if ok else 1)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0\n"
        # No flush: the exit sends what is left.
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env={**os.environ, "PYTHONPATH": str(SDK)}, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, errors.decode()
    ids = usage_topic.event_ids()
    assert (len(ids), len(set(ids))) == (21, 21)
