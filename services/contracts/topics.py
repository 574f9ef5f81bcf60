"""The Kafka topics, declared once."""

from __future__ import annotations

from dataclasses import dataclass

MESSAGE_BYTES_MAX = 4 * 1024 * 1024
EVENTS_PER_MESSAGE_MAX = 500
# A message header, set by `spendstream quarantine admit` and by no door: its events count whatever their time.
ADMITTED_HEADER = "spendstream-admitted"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic and how it is created. `partitions` may grow later, never shrink."""

    name: str
    partitions: int
    retention_bytes: int
    retention_ms: int

    def config(self) -> dict[str, str]:
        """Topic settings as Kafka names them."""
        return {
            # The broker's clock says when a message came: producers' clocks lie, and lateness is measured against it.
            "message.timestamp.type": "LogAppendTime",
            "cleanup.policy": "delete",
            "retention.bytes": str(self.retention_bytes),
            "retention.ms": str(self.retention_ms),
            "max.message.bytes": str(MESSAGE_BYTES_MAX),
        }


_DAY_MS = 86_400_000
# Keyed by tenant. Values are spendstream.v1.UsageBatch.
USAGE_EVENTS = Topic("usage.events.v1", partitions=4, retention_bytes=1 << 30, retention_ms=7 * _DAY_MS)
# Values are spendstream.v1.DeadLetter.
DEAD_LETTER = Topic("usage.dead-letter.v1", partitions=1, retention_bytes=1 << 28, retention_ms=60 * _DAY_MS)
# Values are spendstream.v1.Spike.
SPEND_SPIKES = Topic("spend.spikes.v1", partitions=1, retention_bytes=1 << 26, retention_ms=30 * _DAY_MS)

TOPICS = (USAGE_EVENTS, DEAD_LETTER, SPEND_SPIKES)
