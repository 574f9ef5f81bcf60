"""What an audit says. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from pricing.money import usd_string
from services.audit.spans import Span

_MONEY_SUFFIX: Final = "_pico_usd"
_JSON_INTEGER_MAX: Final = 1 << 53


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure that is not what it must be. `bucket` and `tenant_id` are None where it is about the whole.

    Money is in pico-USD; "… by dimension" are weighted sums that tell only that something moved.
    """

    relation: str
    bucket: datetime | None
    tenant_id: str | None
    measure: str
    expected: int
    found: int
    # The bucket is marked for refresh: it is named, and nothing is wrong.
    waiting: bool = False


@dataclass(frozen=True, slots=True)
class Identity:
    """One equation. `totals` are what it adds up to, for people; `note` what could not be checked, and why."""

    name: str
    differences: tuple[Difference, ...] = ()
    totals: Mapping[str, int] = field(default_factory=dict)
    note: str = ""

    @property
    def holds(self) -> bool:
        return all(one.waiting for one in self.differences)


@dataclass(frozen=True, slots=True)
class PartitionRow:
    """A partition's line of the ledger. `end_offset` None: neither worker nor broker said where the log ends."""

    topic: str
    topic_id: str
    partition: int
    next_offset: int
    end_offset: int | None
    stream_through: datetime | None
    events_read: int
    counted: int
    duplicate: int
    dead_lettered: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class Report:
    """`hours_checked` were compared with the raw events now, `hours_known` were right before and look the same. `left`:
    days that there was no time for, newest first; an audit after this one has their turn."""

    identities: tuple[Identity, ...]
    ledger: tuple[PartitionRow, ...]
    waiting: tuple[datetime, ...]
    data_through: datetime | None
    hours_checked: int
    hours_known: int
    seconds: float
    left: tuple[Span, ...] = ()

    @property
    def holds(self) -> bool:
        """Of what was looked at."""
        return all(identity.holds for identity in self.identities)

    @property
    def differences(self) -> tuple[Difference, ...]:
        return tuple(one for identity in self.identities for one in identity.differences)


def said(measure: str, value: int) -> str:
    """A figure for people: money in dollars, the rest with separators."""
    if measure.rpartition(": ")[2].endswith(_MONEY_SUFFIX):
        whole, dot, rest = usd_string(abs(value)).partition(".")
        return f"{'-' if value < 0 else ''}${int(whole):,}{dot}{rest}"
    return f"{value:,}"


def to_json(report: Report) -> dict[str, object]:
    """The report as plain values for JSON; money as exact decimal strings of USD."""
    return {
        "holds": report.holds,
        "data_through": _moment(report.data_through),
        "identities": [identity_to_json(identity) for identity in report.identities],
        "ledger": [row_to_json(row) for row in report.ledger],
        "waiting_for_refresh": [_moment(bucket) for bucket in report.waiting],
        "hours_checked": report.hours_checked,
        "hours_known": report.hours_known,
        "seconds": round(report.seconds, 3),
        "left": [{"from": _moment(span.start), "to": _moment(span.end)} for span in report.left],
    }


def identity_to_json(identity: Identity) -> dict[str, object]:
    return {
        "name": identity.name,
        "holds": identity.holds,
        "totals": dict(_figure(name, value) for name, value in identity.totals.items()),
        "differences": [
            {
                "level": one.relation,
                "bucket": _moment(one.bucket),
                "tenant_id": one.tenant_id,
                "measure": one.measure.replace(_MONEY_SUFFIX, "_usd"),
                "expected": _figure(one.measure, one.expected)[1],
                "found": _figure(one.measure, one.found)[1],
                "waiting": one.waiting,
            }
            for one in identity.differences
        ],
        "note": identity.note,
    }


def row_to_json(row: PartitionRow) -> dict[str, object]:
    return {
        "topic": row.topic,
        "partition": row.partition,
        "next_offset": row.next_offset,
        "end_offset": row.end_offset,
        "stream_through": _moment(row.stream_through),
        "events_read": row.events_read,
        "counted": row.counted,
        "duplicate": row.duplicate,
        "dead_lettered": row.dead_lettered,
        "quarantined": row.quarantined,
    }


def _figure(name: str, value: int) -> tuple[str, object]:
    if name.endswith(_MONEY_SUFFIX):
        return name.replace(_MONEY_SUFFIX, "_usd"), usd_string(value)
    # Weighted sums are longer than what JSON's readers hold exactly.
    return name, value if abs(value) < _JSON_INTEGER_MAX else str(value)


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
