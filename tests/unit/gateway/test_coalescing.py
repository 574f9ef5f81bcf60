"""How events of concurrent requests share messages, with a Kafka that is a list."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.contracts.topics import EVENTS_PER_MESSAGE_MAX
from services.gateway.coalescing import MESSAGE_EVENT_BYTES_MAX, Coalescer, KafkaUnavailable, Outcome, Overloaded


@dataclass
class Sent:
    """Keeps what was sent; settles it at once with `failure` unless told to hold."""

    hold: bool = False
    failure: str | None = None
    batches: list[tuple[str, usage_pb2.UsageBatchEnvelope]] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    def __call__(self, tenant_id: str, batch: bytes, outcome: Outcome) -> None:
        self.batches.append((tenant_id, usage_pb2.UsageBatchEnvelope.FromString(batch)))
        self.outcomes.append(outcome)
        if not self.hold:
            outcome.set_result(self.failure)

    def sizes(self) -> list[tuple[str, int]]:
        return [(tenant_id, len(batch.events)) for tenant_id, batch in self.batches]


def events(count: int, size: int = 10) -> list[bytes]:
    return [i.to_bytes(size, "big") for i in range(count)]


async def publish(coalescer: Coalescer, tenant_id: str, payloads: list[bytes], door: str = "http") -> None:
    await coalescer.publish(door, {tenant_id: payloads}, sum(map(len, payloads)))


async def test_concurrent_requests_of_a_tenant_share_a_message() -> None:
    sent = Sent()
    coalescer = Coalescer(sent, 0.001, 1_000_000)
    await asyncio.gather(*(publish(coalescer, "acme", events(3)) for _ in range(4)))
    assert sent.sizes() == [("acme", 12)]
    assert list(sent.batches[0][1].events) == events(3) * 4
    assert sent.batches[0][1].batch_id


async def test_tenants_and_doors_do_not_share_messages() -> None:
    sent = Sent()
    coalescer = Coalescer(sent, 0.001, 1_000_000)
    await asyncio.gather(
        publish(coalescer, "acme", events(1)),
        publish(coalescer, "other", events(2)),
        publish(coalescer, "acme", events(3), "grpc"),
    )
    assert sorted((t, b.door, len(b.events)) for t, b in sent.batches) == [
        ("acme", "grpc", 3),
        ("acme", "http", 1),
        ("other", "http", 2),
    ]


async def test_a_full_message_goes_at_once_and_the_rest_after_it() -> None:
    sent = Sent()
    await publish(Coalescer(sent, 0.001, 1_000_000), "acme", events(2 * EVENTS_PER_MESSAGE_MAX + 1))
    assert sent.sizes() == [("acme", EVENTS_PER_MESSAGE_MAX), ("acme", EVENTS_PER_MESSAGE_MAX), ("acme", 1)]
    assert [e for _, b in sent.batches for e in b.events] == events(2 * EVENTS_PER_MESSAGE_MAX + 1)


async def test_a_message_is_bounded_in_bytes() -> None:
    sent = Sent()
    await publish(Coalescer(sent, 0.001, 10_000_000), "acme", events(100, 40_000))
    assert all(sum(map(len, batch.events)) <= MESSAGE_EVENT_BYTES_MAX for _, batch in sent.batches)
    assert sum(count for _, count in sent.sizes()) == 100


async def test_the_answer_waits_for_every_message() -> None:
    sent = Sent(hold=True)
    task = asyncio.create_task(publish(Coalescer(sent, 0, 1_000_000), "acme", events(EVENTS_PER_MESSAGE_MAX + 1)))
    await asyncio.sleep(0.02)
    assert len(sent.outcomes) == 2
    sent.outcomes[0].set_result(None)
    await asyncio.sleep(0.01)
    assert not task.done()
    sent.outcomes[1].set_result(None)
    await task


async def test_what_kafka_did_not_take_is_not_accepted() -> None:
    with pytest.raises(KafkaUnavailable, match="timed out"):
        await publish(Coalescer(Sent(failure="timed out"), 0, 1_000_000), "acme", events(1))


async def test_a_full_queue_refuses_and_takes_again_when_it_is_emptier() -> None:
    sent = Sent(hold=True)
    coalescer = Coalescer(sent, 0, 100)
    first = asyncio.create_task(publish(coalescer, "acme", events(10)))
    await asyncio.sleep(0.01)
    with pytest.raises(Overloaded):
        await publish(coalescer, "acme", events(1))
    sent.outcomes[0].set_result(None)
    await first
    sent.hold = False
    await publish(coalescer, "acme", events(10))


async def test_a_caller_that_goes_away_does_not_take_others_along() -> None:
    sent = Sent(hold=True)
    coalescer = Coalescer(sent, 0.001, 1_000_000)
    gone = asyncio.create_task(publish(coalescer, "acme", events(1)))
    stays = asyncio.create_task(publish(coalescer, "acme", events(1)))
    await asyncio.sleep(0.02)
    gone.cancel()
    await asyncio.sleep(0.01)
    sent.outcomes[0].set_result(None)
    await stays
    assert gone.cancelled()
