"""A producer that keeps its own books: makes events, remembers what they must cost in plain Decimal arithmetic.

Shares no code with the product but the wire's stubs.
"""

from __future__ import annotations

import random
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from services.contracts.stubs.spendstream.v1 import usage_pb2

# USD per million tokens from the vendors' pages: prompt, cached prompt, completion.
PRICES = {
    "gpt-4o": (Decimal("2.50"), Decimal("1.25"), Decimal("10.00")),
    "gpt-4o-mini": (Decimal("0.15"), Decimal("0.075"), Decimal("0.60")),
}
_MILLION = Decimal(10**6)


@dataclass
class Totals:
    calls: int = 0
    cost_usd: Decimal = Decimal(0)
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass
class Books:
    """`random_` and `now` make a run repeatable."""

    random_: random.Random
    now: datetime
    tenants: Sequence[str] = ("acme", "bigco", "globex")
    span: timedelta = timedelta(hours=3)
    by_tenant: dict[str, Totals] = field(default_factory=lambda: defaultdict(Totals))
    by_bucket: dict[tuple[str, datetime], Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    by_hour: dict[datetime, Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    def event(self, tenant: str, at: datetime | None = None) -> usage_pb2.UsageEvent:
        """A good event, entered in the books."""
        draw = self.random_
        at = at or self.now - timedelta(microseconds=draw.randrange(int(self.span.total_seconds() * 1e6)))
        prompt, completion, model = draw.randrange(1, 9000), draw.randrange(3000), draw.choice(sorted(PRICES))
        cached = draw.randrange(prompt)
        event = usage_pb2.UsageEvent(
            event_id=str(uuid.UUID(int=draw.getrandbits(128), version=4)),
            tenant_id=tenant,
            provider="openai",
            model=model,
            feature=draw.choice(["chat", "rag", "summarise", ""]),
            section_path=f"agent:{draw.choice(['dexter', 'cassie'])}/tool:search/retry:{draw.randrange(3)}",
            run_id=f"run{draw.randrange(50)}",
            request_id=f"req{draw.randrange(5000)}",
            attempt=draw.randrange(4),
            customer_id=draw.choice(["alice", "charlie"]),
            user_id=draw.choice(["u1", "u2", ""]),
            channel=draw.choice(["slack", "api"]),
            status=draw.choice([usage_pb2.STATUS_OK] * 9 + [usage_pb2.STATUS_ERROR]),
            latency_ms=draw.randrange(50, 9000),
        )
        event.occurred_at.FromDatetime(at)
        event.usage.input_uncached, event.usage.cache_read, event.usage.output_text = (
            prompt - cached,
            cached,
            completion,
        )
        self._enter(event, at, (prompt - cached, cached, completion))
        return event

    def _enter(self, event: usage_pb2.UsageEvent, at: datetime, usage: tuple[int, int, int]) -> None:
        cost = sum(
            (count * price / _MILLION for count, price in zip(usage, PRICES[event.model], strict=True)), Decimal(0)
        )
        totals = self.by_tenant[event.tenant_id]
        totals.calls += 1
        totals.cost_usd += cost
        totals.prompt_tokens += usage[0] + usage[1]
        totals.completion_tokens += usage[2]
        self.by_hour[at.replace(minute=0, second=0, microsecond=0)] += cost

    def batches(self, count: int, size: int = 500) -> Iterator[usage_pb2.UsageBatch]:
        """`count` events in all, a tenant a batch."""
        for start in range(0, count, size):
            tenant = self.tenants[start // size % len(self.tenants)]
            yield usage_pb2.UsageBatch(events=[self.event(tenant) for _ in range(min(size, count - start))])

    @property
    def calls(self) -> int:
        return sum(totals.calls for totals in self.by_tenant.values())

    @property
    def cost_usd(self) -> Decimal:
        return sum((totals.cost_usd for totals in self.by_tenant.values()), Decimal(0))


def books(seed: int = 7, **options: object) -> Books:
    """Books that start now, on a whole second."""
    return Books(random.Random(seed), datetime.now(UTC).replace(microsecond=0), **options)  # type: ignore[arg-type]
