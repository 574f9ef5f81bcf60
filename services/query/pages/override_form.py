"""An override of the price book as a form: fields to the API's body, and rows to show. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from pricing.usage import USAGE_CLASSES
from services.contracts.overrides import moment_text
from services.query.api.price_overrides import NewOverride, StoredOverride
from services.query.pages.forms import Fields, FormFault, faults_of

KINDS: Final = (("discount", "a share of the list price"), ("prices", "prices of its own"))
TIERS: Final = ("batch", "flex", "priority")
EMPTY: Final = {"kind": "discount", "price_output_reasoning": "output_text", "tier_batch": "0.5"}
FIRST_CLASSES: Final = ("input_uncached", "cache_read", "cache_write_5m", "output_text")
OTHER_CLASSES: Final = tuple(name for name in USAGE_CLASSES if name not in FIRST_CLASSES)
_LABELS: Final = {
    "input_uncached": "Prompt", "cache_read": "Cached", "cache_write_5m": "Cache write", "output_text": "Completion",
    "cache_write_1h": "Cache write, 1 h", "output_reasoning": "Reasoning", "input_audio": "Audio in",
    "output_audio": "Audio out", "input_image": "Image in", "output_image": "Image out",
}  # fmt: skip
_UNIT: Final = re.compile(r"(?P<name>[^\s=:]+)\s*[=:\s]\s*\$?(?P<usd>\S+)")


@dataclass(frozen=True, slots=True)
class PriceField:
    name: str
    label: str


def price_fields(names: Sequence[str]) -> tuple[PriceField, ...]:
    return tuple(PriceField(f"price_{name}", _LABELS[name]) for name in names)


def name_of(body_name: str) -> str:
    """The form's field of a name in the body, or of a place in it, like service_tiers.batch.multiplier."""
    head, _, rest = body_name.partition(".")
    if head == "prices" and rest in USAGE_CLASSES:
        return f"price_{rest}"
    if head == "service_tiers" and rest.partition(".")[0] in TIERS:
        return f"tier_{rest.partition('.')[0]}"
    return {"override": "", "prices": "", "service_tiers": "", "past": ""}.get(head, head)


def new_override(fields: Fields) -> NewOverride:
    """FormFault with the reason for each wrong field."""
    typed: dict[str, Any] = {
        name: fields.get(name, "") for name in ("tenant_id", "provider", "model", "effective_from", "reason")
    }
    typed["effective_until"] = fields.get("effective_until") or None
    typed["past"] = fields.get("past") == "on"
    faults: dict[str, str] = {}
    if fields.get("kind") == "prices":
        typed |= _prices(fields, faults)
    else:
        typed["multiplier"] = fields.get("multiplier", "")
    try:
        body = NewOverride.model_validate(typed)
    except ValidationError as error:
        raise FormFault({**faults_of(error, name_of), **faults}) from None
    if faults:
        raise FormFault(faults)
    return body


def _prices(fields: Fields, faults: dict[str, str]) -> dict[str, Any]:
    """What isn't filled in is left out: the API says what is missing."""
    prices = {name: text.removeprefix("$") for name in USAGE_CLASSES if (text := fields.get(f"price_{name}", ""))}
    if prices.get("output_reasoning") == "output_text" and "output_text" not in prices:
        del prices["output_reasoning"]
    tiers = {tier: {"multiplier": text} for tier in TIERS if (text := fields.get(f"tier_{tier}", ""))}
    units: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in fields.get("units", "").split(","))):
        match = _UNIT.fullmatch(part)
        if match is None:
            faults["units"] = "is like web_searches 0.01, read_units 0.000016"
        else:
            units[match["name"]] = match["usd"]
    said = {"prices": prices, "service_tiers": tiers, "units": units}
    return {name: value for name, value in said.items() if value}


@dataclass(frozen=True, slots=True)
class OverrideRow:
    override_id: str
    tenant_id: str
    what: str
    pays: str
    title: str
    since: str
    until: str
    reason: str
    state: str
    tone: str
    can_end: bool
    press: str


_TONES: Final = {"coming": "info", "in force": "ok", "over": "quiet"}


def override_rows(overrides: Sequence[StoredOverride], now: datetime) -> tuple[OverrideRow, ...]:
    return tuple(_row(one, now) for one in overrides)


def _row(override: StoredOverride, now: datetime) -> OverrideRow:
    state = override.state(now)
    until = override.effective_until
    return OverrideRow(
        override_id=str(override.override_id),
        tenant_id=override.tenant_id,
        what=f"{override.provider}/{override.model}" if override.model != "*" else f"all of {override.provider}",
        pays=_pays(override.terms),
        title=_title(override.terms),
        since=moment_text(override.effective_from).replace("T", " "),
        until="" if until is None else moment_text(until).replace("T", " "),
        reason=override.reason,
        state=state,
        tone=_TONES[state],
        can_end=state != "over",
        press="Take back" if state == "coming" else "End",
    )


def _pays(terms: dict[str, Any]) -> str:
    if "multiplier" in terms:
        return f"list × {terms['multiplier']}"
    prices = terms.get("prices", {})
    shown = [f"{_LABELS[name].lower()} {prices[name]}" for name in FIRST_CLASSES if name in prices]
    return ", ".join(shown[:3]) or "prices of its own"


def _title(terms: dict[str, Any]) -> str:
    """All of it, for who hovers."""
    if "multiplier" in terms:
        return "of every price on the list, units too"
    parts = [f"{_LABELS.get(name, name)}: {price}" for name, price in terms.get("prices", {}).items()]
    parts += [f"{unit}: {price}" for unit, price in terms.get("units", {}).items()]
    parts += [
        f"{tier}: × {value.get('multiplier', 'its own')}" for tier, value in terms.get("service_tiers", {}).items()
    ]
    return "; ".join(parts)
