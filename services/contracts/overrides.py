"""What tenants pay instead of the list price by an admin's word: rows of `price_override` as a part of the price book.

The book is the file and these together, and its version names both. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

OVERRIDES_MAX: Final = 1_000
OVERRIDE_COLUMNS: Final = (
    "tenant_id", "provider", "model", "effective_from", "effective_until", "terms", "reason",
)  # fmt: skip
"""What of a row is in the book, in the order of Override's fields."""
READ_OVERRIDES: Final = (
    f"SELECT {', '.join(OVERRIDE_COLUMNS)} FROM price_override "
    "ORDER BY tenant_id, provider, model, effective_from, override_id"
)


@dataclass(frozen=True, slots=True)
class Override:
    """`model` is one of the provider's or "*"; `terms` a multiplier, or prices in the keys of a book's entry. In force
    from `effective_from` up to but not including `effective_until`, to the second."""

    tenant_id: str
    provider: str
    model: str
    effective_from: datetime
    effective_until: datetime | None
    terms: Mapping[str, Any]
    reason: str


def overrides_text(overrides: Iterable[Override]) -> str:
    """The overrides as `pricing.book.read_book` takes them, one a line; the same ones give the same text, none ''."""
    by_tenant: dict[str, list[str]] = {}
    for override in overrides:
        by_tenant.setdefault(override.tenant_id, []).append(_line(override))
    if not by_tenant:
        return ""
    tenants = [f"{_json(tenant)}: [\n" + ",\n".join(lines) + "\n]" for tenant, lines in sorted(by_tenant.items())]
    return "{" + ",\n".join(tenants) + "}\n"


def moment_text(moment: datetime) -> str:
    """2026-01-31 for a midnight in UTC, else 2026-01-31T16:00:00Z: as the book writes it."""
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%d}" if (utc.hour, utc.minute, utc.second) == (0, 0, 0) else f"{utc:%Y-%m-%dT%H:%M:%SZ}"


def _line(override: Override) -> str:
    said: dict[str, Any] = {
        "provider": override.provider,
        "model": override.model,
        "effective_from": moment_text(override.effective_from),
        **({"effective_until": moment_text(override.effective_until)} if override.effective_until else {}),
        **override.terms,
        "reason": override.reason,
    }
    return _json(said)


def _json(value: object) -> str:
    # JSON is YAML. Readable characters stay: YAML has no pairs of surrogates.
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
