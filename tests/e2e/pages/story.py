"""What happened at the tests' tenants: small enough to know every figure by head."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

Event = dict[str, Any]

ACME_CALLS = 8
# gpt-4o-mini at 0.15 and 0.60 USD per million: 180 * 0.15 + 70 * 0.60 = 69 millionths of a dollar a call.
ACME_TOTAL = "$0.000552"
GLOBEX_RETRIED = "globex-request-7"
GLOBEX_AGENTS = ("support_agent", "report_writer")


def story(now: datetime) -> Iterator[Event]:
    yield from acme(now)
    yield from globex(now)


def acme(now: datetime) -> Iterator[Event]:
    """Eight equal calls for alice 4, charlie 3, diana 1, all within the last hours."""
    for index, customer in enumerate(("alice", "charlie", "alice", "diana", "alice", "charlie", "alice", "charlie")):
        yield one_call(now - timedelta(minutes=5 + index), f"acme-{index}", tenant_id="acme-corp", customer_id=customer)


def one_call(at: datetime, name: str, **fields: object) -> Event:
    """A call of gpt-4o-mini that costs $0.000069."""
    return {
        "event_id": name,
        "occurred_at": at.isoformat(),
        "tenant_id": "acme-corp",
        "provider": "openai",
        "model": "gpt-4o-mini",
        "prompt_tokens": 180,
        "completion_tokens": 70,
        "feature": "research",
        "agent_id": "research_assistant",
        "section_path": "agent:research_assistant/tool:search",
        "run_id": f"run-{name}",
        "request_id": f"request-{name}",
        "channel": "api",
        "latency_ms": 800,
        **fields,
    }


def globex(now: datetime) -> Iterator[Event]:
    """Two weeks, two features, three providers, a retry, and a model nobody has a price for."""
    for day in range(14):
        for index in range(12):
            at = now - timedelta(days=day, minutes=10 + index)
            support = index % 3 != 0
            name = f"globex-{day}-{index}"
            # The prompts of the reports grew in the second week.
            prompt = 900 if support else (12_000 if day < 7 else 4_000)
            yield {
                "event_id": name,
                "occurred_at": at.isoformat(),
                "tenant_id": "globex",
                "provider": "anthropic" if support else "openai",
                "model": "claude-haiku-4-5" if support else "gpt-4o",
                "prompt_tokens": prompt,
                "completion_tokens": 220,
                "feature": "support_chat" if support else "reports",
                "agent_id": GLOBEX_AGENTS[0] if support else GLOBEX_AGENTS[1],
                "run_id": f"run-{name}",
                "request_id": f"request-{name}",
                "customer_id": ("initech", "hooli", "umbrella")[index % 3],
                "channel": "slack" if support else "whatsapp",
                "latency_ms": 900 + index,
            }
    at = now - timedelta(minutes=4)
    for attempt, status in ((1, "timeout"), (2, "ok")):
        yield one_call(
            at + timedelta(seconds=attempt),
            f"globex-retry-{attempt}",
            tenant_id="globex",
            provider="mistral",
            model="mistral-small-latest",
            feature="support_chat",
            agent_id=GLOBEX_AGENTS[0],
            section_path="agent:support_agent/step:answer" + ("/retry:1" if attempt == 2 else ""),
            run_id="globex-run-7",
            request_id=GLOBEX_RETRIED,
            attempt=attempt,
            status=status,
        )
    yield one_call(at, "globex-unpriced", tenant_id="globex", provider="in-house", model="parrot-7b", feature="reports")
