"""The part of the demo that is small enough to check by head, and the moment one feature's prompts grow. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from services.cli.demo_ids import uuid7_of
from services.cli.events_csv import Event
from services.cli.times import format_instant

TENANT_NAMES = {"acme-corp": "Acme Corp", "bigco-inc": "BigCo Inc", "globex": "Globex"}

# gpt-4o-mini at 0.15 and 0.60 USD per million: 180 * 0.15 + 70 * 0.60 = 69, so each call costs $0.000069.
_PROMPT_TOKENS, _COMPLETION_TOKENS = 180, 70
_CUSTOMERS = {
    "acme-corp": ("alice", "charlie", "alice", "diana", "alice", "charlie", "alice", "charlie"),
    "bigco-inc": ("bob", "sarah", "bob"),
}

# Enough of them that either part is a spike where the burst straddles the full hour.
BURST_CALLS = 64
BURST_SECONDS = 60.0
_BURST_PROMPT_TOKENS = 39_000


def small_tenants(base: datetime) -> Iterator[Event]:
    """Eight equal runs of acme-corp and three of bigco-inc, within the 24 hours before `base`."""
    for tenant_id, customers in _CUSTOMERS.items():
        for index, customer_id in enumerate(customers):
            at = base - timedelta(minutes=20 + 125 * index)
            yield {
                "event_id": uuid7_of(at, f"{tenant_id}/{index}"),
                "occurred_at": format_instant(at),
                "tenant_id": tenant_id,
                "provider": "openai",
                "model": "gpt-4o-mini",
                "usage": {"input_uncached": _PROMPT_TOKENS, "output_text": _COMPLETION_TOKENS},
                "feature": "research",
                "agent_id": "research_assistant",
                "section_path": "agent:research_assistant/tool:search",
                "run_id": f"{tenant_id}-run-{index + 1}",
                "request_id": f"{tenant_id}-request-{index + 1}",
                "customer_id": customer_id,
                "user_id": customer_id,
                "channel": "api",
                "operation": "chat",
                "latency_ms": 800,
                "source": "demo",
            }


def burst(start: datetime) -> Iterator[tuple[datetime, Event]]:
    """Calls of `summarise` from `start` on whose prompts are twenty times what they were: somebody attached it all."""
    for index in range(BURST_CALLS):
        at = start + timedelta(seconds=BURST_SECONDS * index / BURST_CALLS)
        yield (
            at,
            {
                "event_id": uuid7_of(at, f"globex/burst/{index}"),
                "occurred_at": format_instant(at),
                "tenant_id": "globex",
                "provider": "openai",
                "model": "gpt-4o",
                "usage": {"input_uncached": _BURST_PROMPT_TOKENS + 137 * index, "output_text": 340 + index},
                "feature": "summarise",
                "agent_id": "report_writer",
                "section_path": "agent:report_writer/step:summarise",
                "run_id": f"globex-burst-{index}",
                "request_id": f"globex-burst-{index}",
                "customer_id": "initech",
                "user_id": "peter",
                "channel": "api",
                "region": "us-east-1",
                "operation": "chat",
                "latency_ms": 6_500 + 31 * index,
                "prompt_template_id": "summarise",
                "prompt_template_version": "4",
                "source": "demo",
            },
        )
