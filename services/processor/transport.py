"""Faust's Kafka transport, reading on from where the ledger says instead of where the consumer group says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar

from aiokafka import TopicPartition
from faust.transport.drivers.aiokafka import Consumer, Transport
from faust.types import TP

from services.contracts.errors import Crash
from services.processor.ledger import outside_log

Claim = Callable[[set[int]], Awaitable[Mapping[int, int]]]


class LedgerConsumer(Consumer):
    """Claims what it is assigned and seeks to the ledger's offsets."""

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Called by Faust after each assignment. Crashes where the ledger points outside the log."""
        transport: LedgerTransport = self.transport  # type: ignore[assignment]
        try:
            return await self._claim_and_seek(transport)
        except Exception as error:  # Faust would log it, and the process would stay without reading
            transport.crash(error)
            raise

    async def _claim_and_seek(self, transport: LedgerTransport) -> Mapping[TP, int]:
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
        bounds = {at.partition: (begins[at], ends[at]) for at in partitions}
        reason = outside_log({tp.partition: offset for tp, offset in offsets.items()}, bounds)
        if reason:
            raise Crash(reason)


class LedgerTransport(Transport):
    """Transport whose consumers follow the ledger; `claim` takes partitions over and answers their next offsets.

    `crash` ends the process; it does not return.
    """

    Consumer: ClassVar[Any] = LedgerConsumer

    def __init__(
        self,
        *args: Any,  # noqa: ANN401
        claim: Claim,
        crash: Callable[[BaseException], None],
        ledger_topic: str,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(*args, **kwargs)
        self.claim = claim
        self.crash = crash
        self.ledger_topic = ledger_topic
