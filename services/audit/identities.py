"""Differences and totals put under the equations they belong to. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.audit.report import Difference, Identity
from services.contracts.rollups import FAMILIES, UNITS

# Positions in the looks of a rollup, after rows and hash.
_CALLS, _COST, _KNOWN_CALLS, _KNOWN_COST = 2, 3, 4, 5
_RELATIONS: Final = tuple((rollup, rollup.view(level)) for rollup in FAMILIES for level in rollup.levels)


@dataclass(frozen=True, slots=True)
class Looks:
    """A relation's figures by bucket: rows, hash, and for a rollup calls, cost and both of known tenants."""

    rows: Mapping[datetime, tuple[int, ...]]

    def total(self, position: int) -> int:
        return sum(row[position] for row in self.rows.values())


def build_identities(differences: Sequence[Difference], looks: Mapping[str, Looks]) -> list[Identity]:
    """The equations over what is stored, in the order people read them."""
    priced = tuple(one for one in differences if one.measure == "priced")
    rest = [one for one in differences if one.measure != "priced"]

    def of(relation: str) -> tuple[Difference, ...]:
        return tuple(one for one in rest if one.relation == relation)

    counts = {name: {"events": looks[name].total(0)} for name in ("usage_event", "event_identity", "unpriced_event")}
    found = [
        Identity("counted = priced + unpriced", (*priced, *of("unpriced_event")), counts["unpriced_event"]),
        Identity("raw = identities", of("event_identity"), counts["event_identity"]),
    ]
    for rollup, relation in _RELATIONS:
        names = {"quantity": looks[relation].total(_CALLS)} if rollup == UNITS else {
            "calls": looks[relation].total(_CALLS)
        }  # fmt: skip
        if "billed_pico_usd" in rollup.measures:
            names["cost_pico_usd"] = looks[relation].total(_COST)
        found.append(Identity(f"raw = {relation}", of(relation), names))
    found.append(_tenants(looks))
    found.append(Identity("Σ attempts = request", of("requests"), counts["usage_event"]))
    found.append(Identity("runs = raw", of("run_base"), {"runs": looks["run_base"].total(0)}))
    return found


def _tenants(looks: Mapping[str, Looks]) -> Identity:
    differences = [
        Difference(relation, None, None, measure, looks[relation].total(whole), looks[relation].total(known))
        for _, relation in _RELATIONS
        for measure, whole, known in (("calls", _CALLS, _KNOWN_CALLS), ("cost_pico_usd", _COST, _KNOWN_COST))
        if looks[relation].total(whole) != looks[relation].total(known)
    ]
    return Identity("Σ tenants = all", tuple(differences))
