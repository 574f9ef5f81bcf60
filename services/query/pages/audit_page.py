"""What /audit shows: each identity, what differs, and the ledger."""

from __future__ import annotations

from typing import Any

from services.audit.report import Difference, Identity, Report, said
from services.query.pages.formats import count, plural
from services.query.pages.sentences import Sentence, Words

DIFFERENCES_SHOWN = 20


def audit_context(report: Report) -> dict[str, Any]:
    """The template's names."""
    return {
        "identities": [_row(identity) for identity in report.identities],
        "differences": [_line(one) for one in report.differences[:DIFFERENCES_SHOWN]],
        "more": max(len(report.differences) - DIFFERENCES_SHOWN, 0),
        "ledger": report.ledger,
        "waiting": report.waiting,
        "data_through": report.data_through,
        "sentence": audit_sentence(report),
        "hours_checked": report.hours_checked,
        "hours_known": report.hours_known,
        "seconds": report.seconds,
        "left": report.left,
    }


def audit_sentence(report: Report) -> Sentence:
    if report.holds:
        return (
            Words("Every event is accounted for once, and every level says what the raw events say", "relief"),
            Words(", in what there was time to look at." if report.left else "."),
        )
    broken = sum(not identity.holds for identity in report.identities)
    verb = "does" if broken == 1 else "do"
    return (Words(f"{count(broken)} {plural(broken, 'identity', 'identities')}", "alarm"), Words(f" {verb} not hold."))


def _row(identity: Identity) -> dict[str, Any]:
    state = "differs" if not identity.holds else "waits" if identity.differences else "holds"
    return {
        "name": identity.name,
        "state": state,
        "differences": len(identity.differences),
        "totals": [(_label(name), said(name, value)) for name, value in identity.totals.items()],
        "note": identity.note,
    }


def _line(one: Difference) -> dict[str, Any]:
    return {
        "relation": one.relation,
        "bucket": one.bucket,
        "tenant": one.tenant_id or "",
        "measure": _label(one.measure),
        "found": said(one.measure, one.found),
        "expected": said(one.measure, one.expected),
        "waiting": one.waiting,
    }


def _label(measure: str) -> str:
    return measure.removesuffix("_pico_usd").replace("_", " ")
