"""Faust's Kafka transport, reading on from where the ledger says instead of where the consumer group says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar

from aiokafka import TopicPartition
from faust.transport.drivers.aiokafka import Consumer, Transport
from faust.types import TP

from services.contracts.errors import Crash

Claim = Callable[[set[int]], Awaitable[Mapping[int, int]]]


class LedgerConsumer(Consumer):
    """Claims what it is assigned and seeks to the ledger's offsets."""

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Called by Faust after each assignment. Crashes where the ledger points outside the log."""
        transport: LedgerTransport = self.transport  # type: ignore[assignment]
        assigned = {tp for tp in self.assignment() if tp.topic == transport.ledger_topic}
        claimed = await transport.claim({tp.partition for tp in assigned})
        offsets = {tp: claimed[tp.partition] for tp in assigned}
        await self._refuse_outside_log(offsets)
        await self.seek_wait(offsets)
        return offsets

    async def _refuse_outside_log(self, offsets: Mapping[TP, int]) -> None:
        if not offsets:
            return
        # Not Faust's own wrappers: they answer 0 for a partition they do not know.
        consumer = self._thread._ensure_consumer()
        partitions = [TopicPartition(tp.topic, tp.partition) for tp in offsets]
        begins = await self._thread.call_thread(consumer.beginning_offsets, partitions)
        ends = await self._thread.call_thread(consumer.end_offsets, partitions)
        for tp, offset in offsets.items():
            key = TopicPartition(tp.topic, tp.partition)
            if offset < begins[key]:
                raise Crash(f"{tp}: {begins[key] - offset} messages were deleted by retention before they were counted")
            if offset > ends[key]:
                raise Crash(f"{tp}: the ledger is at {offset}, the log ends at {ends[key]}; an operator must adopt it")


class LedgerTransport(Transport):
    """Transport whose consumers follow the ledger; `claim` takes partitions over and answers their next offsets."""

    Consumer: ClassVar[Any] = LedgerConsumer

    def __init__(self, *args: Any, claim: Claim, ledger_topic: str, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        self.claim = claim
        self.ledger_topic = ledger_topic
