"""A file of usage as events ready to send: read twice, once to check all of it, once to send it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from services.cli.events_csv import BadFile, Event, Row, read_csv
from services.cli.times import format_instant, parse_instant
from services.contracts.admission import admit
from services.contracts.json_event import EventRefused, decode_event, encode_event
from services.contracts.json_strict import parse_json

# Names the ids of replayed lines; never change it, or a second replay counts everything again.
_ID_NAMESPACE = uuid.UUID("5e0d57a9-64c1-5d4b-9d3c-2f6a1f1d9e10")


@dataclass(frozen=True, slots=True)
class Source:
    """A file and how to read it: `mapping` is field → CSV column, `constants` field → text for every event."""

    path: Path
    mapping: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_csv(self) -> bool:
        return self.path.suffix.lower() in (".csv", ".tsv", ".txt") or bool(self.mapping)

    def rows(self) -> Iterator[Row]:
        """Its events in the doors' JSON form, each acceptable to a door once it has an id. Raises BadFile."""
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as lines:
                for row in read_csv(lines, self.mapping, self.constants) if self.is_csv else self._jsonl(lines):
                    yield _checked(row)
        except UnicodeDecodeError as error:
            raise BadFile(f"it is no UTF-8 text: {error.reason} at byte {error.start}") from error
        except OSError as error:
            raise BadFile(error.strerror or str(error)) from error

    def _jsonl(self, lines: Iterable[str]) -> Iterator[Row]:
        for number, line in enumerate(lines, start=1):
            text = line.strip()
            if text:
                try:
                    event = parse_json(text.encode())
                except ValueError as error:
                    raise BadFile(f"line {number}: {str(error).replace('at line 1 column', 'at column')}") from error
                if isinstance(event, dict):
                    event.update(self.constants)
                yield Row(number, text, event)


def _checked(row: Row) -> Row:
    """`row` with its id and in canonical form, decoded and judged by the same code as at the door."""
    try:
        event = decode_event(row.event)
    except EventRefused as error:
        raise BadFile(f"line {row.line}: {error}") from error
    event.event_id = event.event_id or event_id(event.tenant_id, row.line, row.text)
    reasons = admit(event)
    if reasons:
        raise BadFile(f"line {row.line}: {reasons}")
    return Row(row.line, row.text, encode_event(event))


@dataclass(frozen=True, slots=True)
class Survey:
    """What a first reading found: events, their tenants, their first and last instant, before any shift."""

    events: int
    tenants: frozenset[str]
    first: datetime
    last: datetime

    def shift_to(self, end: datetime | None) -> timedelta:
        """How far to move every event so that the last falls on `end`."""
        return timedelta(0) if end is None else end - self.last


def survey(source: Source) -> Survey:
    """Reads all of it. Raises BadFile for the first bad row, and for a file without events."""
    count, tenants, first, last = 0, set[str](), None, None
    for row in source.rows():
        at = parse_instant(str(row.event["occurred_at"]))
        count += 1
        tenants.add(str(row.event["tenant_id"]))
        first = at if first is None or at < first else first
        last = at if last is None or at > last else last
    if first is None or last is None:
        raise BadFile("there is no event in it")
    return Survey(count, frozenset(tenants), first, last)


def events(source: Source, shift: timedelta = timedelta(0)) -> Iterator[Event]:
    """Its events, moved by `shift`, each with an id; an id the file gives is kept."""
    for row in source.rows():
        event = row.event
        if shift:
            event["occurred_at"] = format_instant(parse_instant(str(event["occurred_at"])) + shift)
        yield event


def event_id(tenant_id: str, line: int, text: str) -> str:
    """The id of a line: its tenant, number and content, so the same file under another name is still the same events.

    The time it is shifted to is no part of it: the same line sent at another time is a conflict, not a second call.
    """
    return str(uuid.uuid5(_ID_NAMESPACE, f"{tenant_id}\n{line}\n{text}"))
