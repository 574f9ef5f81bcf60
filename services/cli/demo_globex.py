"""The demo's busy tenant: four weeks and on, every hour the same whenever it is asked for. Pure.

What happens in an hour depends on the hour and on when the demo began, on nothing else: started again it carries on
where it was, and what it sends twice is the same events.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.cli.demo_ids import uuid7_of
from services.cli.events_csv import Event
from services.cli.times import format_instant

TENANT_ID = "globex"
HISTORY = timedelta(days=28)
HOUR = timedelta(hours=1)
_REQUESTS_PER_HOUR = 55
_CUSTOMERS = ("initech", "hooli", "umbrella", "stark", "wayne", "soylent", "tyrell", "wonka", "cyberdyne", "aperture")
_USERS = ("peter", "ana", "milton", "samir", "joanna", "bill", "nina", "dom", "lumbergh", "tom", "rosa", "kai")


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a request: `usage` are means, varied per call; models are (provider, model, weight)."""

    name: str
    models: tuple[tuple[str, str, int], ...]
    usage: tuple[tuple[str, int], ...]
    operation: str = "chat"
    latency_ms: int = 1_200


@dataclass(frozen=True, slots=True)
class Feature:
    """What the product offers: how often it is asked for, who does it, and in which steps."""

    name: str
    weight: int
    agent_id: str
    steps: tuple[Step, ...]
    channels: tuple[str, ...] = ("api",)
    fail_percent: int = 2
    cache_hit_percent: int = 0


_CHAT = Step(
    "answer",
    (("openai", "gpt-4o-mini", 5), ("anthropic", "claude-haiku-4-5", 4), ("openai", "gpt-4o", 1)),
    (("input_uncached", 2_100), ("cache_read", 1_300), ("output_text", 290)),
)
_SUMMARISE = Step("summarise", (("openai", "gpt-4o", 1),), (("input_uncached", 1_900), ("output_text", 340)))
_REVIEW = Step(
    "clauses",
    (("anthropic", "claude-sonnet-4-5", 4), ("anthropic", "claude-opus-4-1", 1)),
    (("input_uncached", 14_000), ("cache_write_5m", 6_800), ("cache_read", 9_400), ("output_text", 2_150)),
    latency_ms=9_000,
)
_PLAN = Step(
    "plan",
    (("openai", "gpt-5", 3), ("anthropic", "claude-sonnet-4-5", 2)),
    (("input_uncached", 16_000), ("cache_read", 31_000), ("output_text", 620), ("output_reasoning", 3_400)),
    latency_ms=7_000,
)
_EDIT = Step(
    "edit",
    (("anthropic", "claude-sonnet-4-5", 3), ("deepseek", "deepseek-v4-pro", 2)),
    (("input_uncached", 13_000), ("cache_read", 38_000), ("output_text", 2_300)),
    latency_ms=5_000,
)
_EMBED = Step(
    "embed",
    (("openai", "text-embedding-3-small", 1),),
    (("input_uncached", 60),),
    operation="embeddings",
    latency_ms=90,
)
_LOOK_UP = Step(
    "vector_search",
    (("pinecone", "serverless", 1),),
    (("units.read_units", 12),),
    operation="retrieval",
    latency_ms=45,
)
_RERANK = Step("rerank", (("voyageai", "rerank-2.5", 1),), (("input_uncached", 2_400),), "rerank", 150)
_GROUNDED = Step("answer", (("google", "gemini-2.5-flash", 1),), (("input_uncached", 3_100), ("output_text", 260)))
_TRANSLATE = Step(
    "translate",
    (("mistral", "mistral-small-latest", 3), ("ollama", "llama3.1", 2)),
    (("input_uncached", 640), ("output_text", 610)),
)
_OUTREACH = Step("draft", (("openai", "gpt-4.1-mini", 1),), (("input_uncached", 1_500), ("output_text", 420)))
_INTAKE = Step(
    "read",
    (("google", "gemini-2.5-flash", 4), ("self-hosted", "invoice-reader-7b", 1)),
    (("input_uncached", 350), ("input_image", 1_290), ("output_text", 240)),
    operation="extract",
)

FEATURES = (
    Feature("support_chat", 34, "support_agent", (_CHAT,), ("slack", "whatsapp", "api"), 3, 4),
    Feature("product_search", 22, "search_agent", (_EMBED, _LOOK_UP, _GROUNDED), ("api", "whatsapp")),
    Feature("help_search", 4, "search_agent", (_EMBED, _LOOK_UP, _RERANK, _GROUNDED), ("slack",)),
    Feature("code_assist", 10, "code_helper", (_PLAN, _EDIT, _EDIT), ("slack", "api"), 5),
    Feature("summarise", 20, "report_writer", (_SUMMARISE,)),
    Feature("translate", 9, "translator", (_TRANSLATE,), ("whatsapp", "api"), 1, 8),
    Feature("sales_outreach", 6, "outreach_writer", (_OUTREACH,), ("whatsapp", "slack")),
    Feature("invoice_intake", 4, "invoice_reader", (_INTAKE,)),
    Feature("contract_review", 2, "contract_reviewer", (_REVIEW,), ("api",), 4),
)
_WEIGHTS = tuple(feature.weight for feature in FEATURES)


def hours(first: datetime, last: datetime) -> Iterator[datetime]:
    """The starts of the hours from the one `first` is in to the one `last` is in."""
    hour = first.replace(minute=0, second=0, microsecond=0)
    while hour <= last:
        yield hour
        hour += HOUR


def events_of_hour(hour: datetime, base: datetime) -> list[tuple[datetime, Event]]:
    """All calls that start in this hour (UTC) of a demo that began at `base`, by time."""
    # Not for secrets: a story needs no secret.
    rng = random.Random(f"{TENANT_ID} {hour.isoformat()}")  # nosec B311
    events: list[tuple[datetime, Event]] = []
    for index in range(_requests(hour, base, rng)):
        at = hour + timedelta(microseconds=rng.randrange(3_600_000_000))
        feature = rng.choices(FEATURES, _WEIGHTS)[0]
        events += _request(feature, at, f"{hour:%Y%m%d%H}-{index}", rng)
    return sorted(events, key=lambda pair: pair[0])


def _requests(hour: datetime, base: datetime, rng: random.Random) -> int:
    """A business that grew fourfold in its four weeks: busiest around 14:00, calmer on weekends, some noise."""
    age = min(1.0, max(0.0, (hour - (base - HISTORY)) / HISTORY))
    growth = 0.45 + 1.35 * age * math.sqrt(age)
    day = 1 + 0.55 * math.cos((hour.hour - 14) / 24 * 2 * math.pi)
    week = 0.65 if hour.weekday() >= 5 else 1.0
    return max(5, round(_REQUESTS_PER_HOUR * growth * day * week * rng.uniform(0.85, 1.15)))


def _request(feature: Feature, at: datetime, name: str, rng: random.Random) -> Iterator[tuple[datetime, Event]]:
    common: Event = {
        "tenant_id": TENANT_ID,
        "feature": feature.name,
        "agent_id": feature.agent_id,
        "run_id": f"run-{name}",
        "customer_id": _skewed(_CUSTOMERS, rng),
        "user_id": _skewed(_USERS, rng),
        "channel": rng.choice(feature.channels),
        "region": rng.choice(("us-east-1", "us-east-1", "eu-central-1")),
        "prompt_template_id": feature.name,
        "prompt_template_version": str(1 + (at.toordinal() // 9) % 3),
        "source": "demo",
    }
    for number, step in enumerate(feature.steps):
        request_id = f"req-{name}-{number}"
        path = f"agent:{feature.agent_id}/{'tool' if step.operation != 'chat' else 'step'}:{step.name}"
        provider, model, _ = rng.choices(step.models, [weight for _, _, weight in step.models])[0]
        call: Event = {**common, "provider": provider, "model": model, "request_id": request_id}
        call |= {"operation": step.operation}
        failed = rng.randrange(100) < feature.fail_percent
        for attempt in (1, 2) if failed else (1,):
            event = {**call, **_attempt(step, rng, failed=failed and attempt == 1), "attempt": attempt}
            event["section_path"] = path if attempt == 1 else f"{path}/retry:{attempt - 1}"
            event |= {"retry_count": attempt - 1} if attempt > 1 else {}
            if not failed and rng.randrange(100) < feature.cache_hit_percent:
                event |= {"cache_hit": True, "latency_ms": rng.randrange(4, 20)}
            event |= {"event_id": uuid7_of(at, f"{request_id}/{attempt}"), "occurred_at": format_instant(at)}
            yield at, event
            at += timedelta(milliseconds=event["latency_ms"] + rng.randrange(20, 200))


def _attempt(step: Step, rng: random.Random, *, failed: bool) -> Event:
    """What one attempt used, how long it took and how it ended; a failed one has read its prompt and said little."""
    usage: dict[str, int | dict[str, int]] = {}
    for name, mean in step.usage:
        count = max(1, round(mean * rng.lognormvariate(-0.08, 0.4)))
        if name.startswith("units."):
            usage["units"] = {name.removeprefix("units."): count}
        elif not failed or not name.startswith("output"):
            usage[name] = count
    latency_ms = max(8, round(step.latency_ms * rng.lognormvariate(0, 0.35)))
    if not failed:
        return {"usage": usage, "latency_ms": latency_ms, "status": "ok"}
    status, error_type = rng.choice((("timeout", "read_timeout"), ("error", "overloaded"), ("error", "rate_limited")))
    return {"usage": usage, "latency_ms": 3 * latency_ms, "status": status, "error_type": error_type}


def _skewed(names: tuple[str, ...], rng: random.Random) -> str:
    """A few are asked for much more often than the rest."""
    return names[min(int(rng.expovariate(0.45)), len(names) - 1)]
