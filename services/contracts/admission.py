"""What makes an event acceptable: the same rules at every door, listed once. Limits are in `limits`.

| what | rule |
|---|---|
| event_id, tenant_id, provider, model | not empty |
| every text | at most TEXT_MAX characters (section_path SECTION_PATH_MAX), no NUL |
| occurred_at | given, a valid timestamp, years 2000 to 2099. How old or new it may be is decided behind Kafka |
| usage | at least one class or unit given; each count 0..COUNT_MAX |
| units | at most UNITS_ENTRIES_MAX; names like texts and not empty |
| attempt, retry_count | 0..ATTEMPT_MAX |
| latency_ms | 0..LATENCY_MS_MAX |
| status, service_tier | a value this version knows |
| reported_cost_usd | empty, or a plain decimal: up to 12 digits, then up to 30 after the point |
| metadata | at most METADATA_ENTRIES_MAX; names 1..METADATA_KEY_MAX, values 0..METADATA_VALUE_MAX characters |
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from operator import attrgetter
from typing import Final

from pricing.usage import USAGE_CLASSES
from services.contracts.limits import (
    ATTEMPT_MAX,
    COUNT_MAX,
    LATENCY_MS_MAX,
    METADATA_ENTRIES_MAX,
    METADATA_KEY_MAX,
    METADATA_VALUE_MAX,
    SECTION_PATH_MAX,
    TEXT_MAX,
    UNITS_ENTRIES_MAX,
)
from services.contracts.stubs.spendstream.v1 import usage_pb2

REQUIRED_TEXTS: Final = ("event_id", "tenant_id", "provider", "model")
TEXT_LIMITS: Final[dict[str, int]] = {
    **dict.fromkeys(REQUIRED_TEXTS, TEXT_MAX),
    **dict.fromkeys(
        (
            "feature",
            "agent_id",
            "run_id",
            "request_id",
            "customer_id",
            "user_id",
            "channel",
            "region",
            "operation",
            "error_type",
            "prompt_template_id",
            "prompt_template_version",
            "source",
        ),
        TEXT_MAX,
    ),
    "section_path": SECTION_PATH_MAX,
}
"""Every text of an event but reported_cost_usd, with the characters it may have."""

OCCURRED_SECONDS_MIN: Final = 946_684_800  # 2000-01-01T00:00:00Z
OCCURRED_SECONDS_MAX: Final = 4_102_444_800  # 2100-01-01T00:00:00Z, exclusive
NANOS_PER_SECOND: Final = 1_000_000_000

REPORTED_COST_USD: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,30})?")

_TEXTS: Final = attrgetter(*TEXT_LIMITS)
_COUNTS: Final = attrgetter(*USAGE_CLASSES)
_STATUSES: Final = frozenset(usage_pb2.Status.values())
_SERVICE_TIERS: Final = frozenset(usage_pb2.ServiceTier.values())


def admit(event: usage_pb2.UsageEvent) -> str | None:
    """Why `event` can't be accepted, every reason by its field's name; None when it can."""
    if _is_plain(event):
        return None
    reasons = [*_texts(event), *_time(event), *_usage(event), *_numbers(event), *_metadata(event)]
    return "; ".join(reasons) if reasons else None


def _is_plain(event: usage_pb2.UsageEvent) -> bool:
    """Whether the event is right at a glance, as nearly all are; where not, the rules below say what is wrong.

    A quarter of what reading the rules one by one costs: at the doors that is most of an event's work.
    """
    texts = _TEXTS(event)
    if not all(texts[: len(REQUIRED_TEXTS)]) or max(map(len, texts)) > TEXT_MAX or "\0" in "".join(texts):
        return False
    counts = _COUNTS(event.usage)
    if not (any(counts) and min(counts) >= 0 and max(counts) <= COUNT_MAX):
        return False
    if event.usage.units or event.metadata or event.reported_cost_usd:
        return False
    return not any(True for _ in _time(event)) and not any(True for _ in _numbers(event))


def _texts(event: usage_pb2.UsageEvent) -> Iterator[str]:
    for name in REQUIRED_TEXTS:
        if not getattr(event, name):
            yield f"{name} is required"
    for name, limit in TEXT_LIMITS.items():
        value = getattr(event, name)
        if value:
            yield from _text(name, value, limit)
    cost = event.reported_cost_usd
    if cost and not REPORTED_COST_USD.fullmatch(cost):
        yield "reported_cost_usd must be a plain decimal, not negative, at most 12 digits before and 30 after the point"


def _text(name: str, value: str, limit: int) -> Iterator[str]:
    if len(value) > limit:
        yield f"{name} has {len(value)} characters, at most {limit} are allowed"
    if "\0" in value:
        yield f"{name} contains a NUL character"


def _time(event: usage_pb2.UsageEvent) -> Iterator[str]:
    if not event.HasField("occurred_at"):
        yield "occurred_at is required"
        return
    occurred_at = event.occurred_at
    if not OCCURRED_SECONDS_MIN <= occurred_at.seconds < OCCURRED_SECONDS_MAX:
        yield "occurred_at is not within the years 2000 to 2099"
    if not 0 <= occurred_at.nanos < NANOS_PER_SECOND:
        yield "occurred_at.nanos must be 0..999999999"


def _usage(event: usage_pb2.UsageEvent) -> Iterator[str]:
    given = False
    usage = event.usage
    for name in USAGE_CLASSES:
        count: int = getattr(usage, name)
        if count:
            given = True
            yield from _count(f"usage.{name}", count, COUNT_MAX)
        elif not given:
            given = usage.HasField(name)
    units = usage.units
    if units:
        given = True
        if len(units) > UNITS_ENTRIES_MAX:
            yield f"usage.units has {len(units)} entries, at most {UNITS_ENTRIES_MAX} are allowed"
        for unit, quantity in units.items():
            if not unit:
                yield "usage.units has an entry without a name"
            yield from _text("usage.units: a name", unit, TEXT_MAX)
            yield from _count(f"usage.units.{unit[:METADATA_KEY_MAX]}", quantity, COUNT_MAX)
    if not given:
        yield "usage is required: at least one usage class or unit"


def _numbers(event: usage_pb2.UsageEvent) -> Iterator[str]:
    yield from _count("attempt", event.attempt, ATTEMPT_MAX)
    yield from _count("retry_count", event.retry_count, ATTEMPT_MAX)
    yield from _count("latency_ms", event.latency_ms, LATENCY_MS_MAX)
    if event.status not in _STATUSES:
        yield f"status {event.status} is not known"
    if event.service_tier not in _SERVICE_TIERS:
        yield f"service_tier {event.service_tier} is not known"


def _count(name: str, count: int, limit: int) -> Iterator[str]:
    if not 0 <= count <= limit:
        yield f"{name} must be 0..{limit}, not {count}"


def _metadata(event: usage_pb2.UsageEvent) -> Iterator[str]:
    metadata = event.metadata
    if not metadata:
        return
    if len(metadata) > METADATA_ENTRIES_MAX:
        yield f"metadata has {len(metadata)} entries, at most {METADATA_ENTRIES_MAX} are allowed"
    for key, value in metadata.items():
        if not key:
            yield "metadata has an entry without a name"
        yield from _text("metadata: a name", key, METADATA_KEY_MAX)
        yield from _text(f"metadata.{key[:METADATA_KEY_MAX]}", value, METADATA_VALUE_MAX)
