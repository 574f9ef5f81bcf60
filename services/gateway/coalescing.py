"""Events of concurrent requests share Kafka messages: what is behind Kafka is paid by the message."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from services.contracts.errors import Retry
from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.contracts.topics import EVENTS_PER_MESSAGE_MAX
from services.gateway import metrics

MESSAGE_EVENT_BYTES_MAX = 900_000

Outcome = asyncio.Future[str | None]
"""Of a message: None once Kafka has it, else why not. Never an exception: nobody may be waiting any more."""
Send = Callable[[str, bytes, Outcome], None]
"""Hands (tenant_id, UsageBatch bytes) to Kafka; the outcome is set in the event loop, later. Raises Overloaded."""


class Overloaded(Retry):
    """More is waiting for Kafka than may wait."""


class KafkaUnavailable(Retry):
    """Kafka did not acknowledge; the events may or may not be there, sending them again is safe."""


@dataclass(slots=True)
class _Message:
    outcome: Outcome
    events: list[bytes] = field(default_factory=list)
    event_bytes: int = 0


class Coalescer:
    """Fills messages per tenant and door, sends them when full or `linger_seconds` after their first event."""

    def __init__(self, send: Send, linger_seconds: float, queue_bytes_max: int) -> None:
        self._send = send
        self._linger_seconds = linger_seconds
        self._queue_bytes_max = queue_bytes_max
        self._queued_bytes = 0
        self._filling: dict[tuple[str, str], _Message] = {}

    async def publish(self, door: str, admitted: Mapping[str, Sequence[bytes]], event_bytes: int) -> None:
        """Returns once Kafka has all of `admitted` (tenant_id -> events); raises Overloaded, KafkaUnavailable."""
        if self._queued_bytes + event_bytes > self._queue_bytes_max:
            raise Overloaded("too many events wait for Kafka")
        self._queued_bytes += event_bytes
        metrics.QUEUED_BYTES.set(self._queued_bytes)
        try:
            outcomes = {self._add(door, tenant_id, event) for tenant_id, events in admitted.items() for event in events}
            # Not gather(): a caller that goes away must not cancel what others wait for too.
            await asyncio.wait(outcomes)
            failures = [failure for outcome in outcomes if (failure := outcome.result()) is not None]
        finally:
            self._queued_bytes -= event_bytes
            metrics.QUEUED_BYTES.set(self._queued_bytes)
        if failures:
            raise KafkaUnavailable(failures[0])

    def _add(self, door: str, tenant_id: str, event: bytes) -> Outcome:
        series = (tenant_id, door)
        message = self._filling.get(series)
        if message is not None and message.event_bytes + len(event) > MESSAGE_EVENT_BYTES_MAX:
            self._flush(series, message)
            message = None
        if message is None:
            loop = asyncio.get_running_loop()
            message = self._filling[series] = _Message(loop.create_future())
            loop.call_later(self._linger_seconds, self._flush, series, message)
        message.events.append(event)
        message.event_bytes += len(event)
        if len(message.events) == EVENTS_PER_MESSAGE_MAX:
            self._flush(series, message)
        return message.outcome

    def _flush(self, series: tuple[str, str], message: _Message) -> None:
        """Sends `message` unless that was done before."""
        if self._filling.get(series) is not message:
            return
        del self._filling[series]
        metrics.MESSAGE_EVENTS.observe(len(message.events))
        tenant_id, door = series
        batch = usage_pb2.UsageBatchEnvelope(events=message.events, batch_id=uuid.uuid4().hex, door=door)
        try:
            self._send(tenant_id, batch.SerializeToString(), message.outcome)
        except Overloaded as error:
            message.outcome.set_result(str(error))
