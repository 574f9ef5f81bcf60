"""A realistic mix of events, and what they must add up to by plain arithmetic: no product code but the stubs."""

from __future__ import annotations

import random
import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from services.contracts.stubs.spendstream.v1 import usage_pb2

# (provider, model): USD per million tokens from the vendors' pages: prompt, cached prompt, completion.
PRICES = {
    ("openai", "gpt-4o"): ("2.50", "1.25", "10.00"),
    ("openai", "gpt-4o-mini"): ("0.15", "0.075", "0.60"),
    ("openai", "gpt-4.1"): ("2.00", "0.50", "8.00"),
    ("anthropic", "claude-3-5-haiku"): ("0.80", "0.08", "4.00"),
    ("anthropic", "claude-haiku-4-5"): ("1.00", "0.10", "5.00"),
    ("google", "gemini-2.5-flash"): ("0.30", "0.03", "2.50"),
}
_MODELS = tuple(PRICES)
# Pico-USD per token are USD per million tokens times 10^6.
_PICO_PER_TOKEN = {key: tuple(int(Decimal(usd) * 10**6) for usd in prices) for key, prices in PRICES.items()}
TENANTS = tuple(f"tenant-{number:02}" for number in range(20))
_FEATURES = ("chat", "rag", "summarise", "classify", "extract", "translate", "code-review", "search")
_AGENTS = tuple(f"agent-{number}" for number in range(10))
_CHANNELS = ("web", "slack", "api", "mobile")
_REGIONS = ("eu-central-1", "us-east-1", "")
_STATUSES = (usage_pb2.STATUS_OK,) * 47 + (usage_pb2.STATUS_ERROR, usage_pb2.STATUS_ERROR, usage_pb2.STATUS_TIMEOUT)
BATCH_EVENTS = 500


@dataclass(slots=True)
class Totals:
    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_pico_usd: int = 0


@dataclass
class Mix:
    """Makes events of the ten minutes before `now_us` (epoch microseconds) and keeps the books.

    A backlog is in order of time but for some seconds, as a log is; or `shuffled`, which is harder: each flush then
    touches every minute. An agent works for one feature, mostly with one model; few customers make most of the calls.
    """

    now_us: int
    seed: int = 11
    span_us: int = 600_000_000
    jitter_us: int = 15_000_000
    shuffled: bool = False
    totals: dict[str, Totals] = field(default_factory=lambda: defaultdict(Totals))
    duplicates: int = 0

    def __post_init__(self) -> None:
        self._draw = random.Random(self.seed)

    def batches(self, count: int, duplicate_share: float = 0.0) -> Iterator[tuple[str, usage_pb2.UsageBatch]]:
        """`count` events in all, as (tenant, batch); that share of them are events of earlier batches once more."""
        draw = self._draw
        seen: dict[str, list[usage_pb2.UsageEvent]] = defaultdict(list)
        for start in range(0, count, BATCH_EVENTS):
            tenant = TENANTS[start // BATCH_EVENTS % len(TENANTS)]
            earlier, batch = seen[tenant], usage_pb2.UsageBatch(door="bench", batch_id=str(start))
            begin_us = self.now_us - self.span_us + (self.span_us - self.jitter_us) * start // count
            for _ in range(min(BATCH_EVENTS, count - start)):
                if earlier and draw.random() < duplicate_share:
                    batch.events.append(draw.choice(earlier))
                    self.duplicates += 1
                else:
                    batch.events.append(self.event(tenant, self._moment(begin_us)))
            if duplicate_share:
                earlier.extend(draw.sample(list(batch.events), 5))
            yield tenant, batch

    def _moment(self, begin_us: int) -> int:
        if self.shuffled:
            return self.now_us - int(self._draw.random() * self.span_us)
        return begin_us + int(self._draw.random() * self.jitter_us)

    def event(self, tenant: str, occurred_us: int) -> usage_pb2.UsageEvent:
        """One more event of this tenant, entered in the books."""
        draw, number = self._draw, self._draw.getrandbits(62)
        agent = (number >> 36) % 10
        model = _MODELS[agent % 6 if number & 7 else (number >> 3) % 6]
        customer = int(40 * draw.random() ** 2)
        prompt, completion = 50 + (number >> 3) % 8_000, 1 + (number >> 16) % 1_500
        cached = prompt // 2 if number & 1 << 30 else 0
        in_run = number >> 31 & 3 == 0
        event = usage_pb2.UsageEvent(
            event_id=self._uuid7(occurred_us),
            tenant_id=tenant,
            provider=model[0],
            model=model[1],
            feature=_FEATURES[agent % 8],
            agent_id=_AGENTS[agent],
            # A quarter belongs to runs of some twenty calls, half carries a request id.
            run_id=f"run-{draw.getrandbits(32) % 6_000:05}" if in_run else "",
            section_path=f"agent:{_AGENTS[agent]}/tool:search" if in_run else "",
            request_id=f"req-{number:016x}" if number >> 41 & 1 else "",
            attempt=1,
            customer_id=f"customer-{customer}",
            user_id=f"user-{customer}-{(number >> 48) % 5}",
            channel=_CHANNELS[number >> 52 & 3],
            region=_REGIONS[(number >> 54) % 3],
            operation="chat",
            status=_STATUSES[(number >> 56) % 50],
            latency_ms=80 + (number >> 20) % 9_000,
            source="bench",
        )
        event.occurred_at.seconds, micros = divmod(occurred_us, 1_000_000)
        event.occurred_at.nanos = micros * 1_000
        usage = event.usage
        usage.input_uncached, usage.cache_read, usage.output_text = prompt - cached, cached, completion
        totals, (price, cached_price, completion_price) = self.totals[tenant], _PICO_PER_TOKEN[model]
        totals.calls += 1
        totals.prompt_tokens += prompt
        totals.completion_tokens += completion
        totals.cost_pico_usd += (prompt - cached) * price + cached * cached_price + completion * completion_price
        return event

    def _uuid7(self, at_us: int) -> str:
        random_bits = self._draw.getrandbits(74)
        number = (
            (at_us // 1_000) << 80 | 7 << 76 | (random_bits >> 62) << 64 | 0b10 << 62 | random_bits & ((1 << 62) - 1)
        )
        return str(uuid.UUID(int=number))
