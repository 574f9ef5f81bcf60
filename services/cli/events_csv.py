"""Rows of a CSV as usage events in the JSON form of the doors. Pure: lines in, events out."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pricing.usage import USAGE_CLASSES
from services.cli.times import format_instant, parse_instant
from services.contracts.json_event import SIMPLE_USAGE

Event = dict[str, Any]

TEXTS = (
    "event_id", "tenant_id", "provider", "model", "feature", "agent_id", "section_path", "run_id", "request_id",
    "customer_id", "user_id", "channel", "region", "service_tier", "operation", "status", "error_type",
    "prompt_template_id", "prompt_template_version", "reported_cost_usd", "source",
)  # fmt: skip
COUNTS = ("attempt", "retry_count", "latency_ms")
FLAGS = ("superseded", "cache_hit", "streaming", "tokens_estimated")
UNITS_PREFIX = "units."
FIELDS = ("occurred_at", *SIMPLE_USAGE, *USAGE_CLASSES, *TEXTS, *COUNTS, *FLAGS)

# Headers this tool knows without being told: the Azure LLM inference traces of 2023 and 2024.
KNOWN_COLUMNS = {"TIMESTAMP": "occurred_at", "ContextTokens": "prompt_tokens", "GeneratedTokens": "completion_tokens"}
_TRUE, _FALSE = ("1", "true", "yes"), ("0", "false", "no")


class BadFile(Exception):
    """The file can't be replayed as it is; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Row:
    """One event with the place it stands at: `line` counts from 1, the header included; `text` is its content."""

    line: int
    text: str
    event: Event


def is_field(name: str) -> bool:
    """Whether an event has a field of this name; a unit is written `units.NAME`."""
    return name in FIELDS or (name.startswith(UNITS_PREFIX) and len(name) > len(UNITS_PREFIX))


def column_fields(header: Sequence[str], mapping: Mapping[str, str], constants: Mapping[str, str]) -> dict[int, str]:
    """Which column (from 0) fills which field.

    `mapping` is field → column and goes before what is recognised by itself: an event field's own name, and the
    columns of the Azure traces. Raises BadFile naming every column that is asked for or needed and isn't there.
    """
    names = [name.strip().removeprefix("\ufeff") for name in header]
    missing = sorted({column for column in mapping.values() if column not in names})
    if missing:
        raise BadFile(f"no column {', '.join(missing)} in it; its columns are {', '.join(names) or 'none'}")
    fields = {names.index(column): field for field, column in mapping.items()}
    for index, name in enumerate(names):
        field = KNOWN_COLUMNS.get(name, name)
        if index not in fields and field not in fields.values() and field not in constants and is_field(field):
            fields[index] = field
    given = {*fields.values(), *constants}
    lacking = [name for name in ("occurred_at", "tenant_id", "provider", "model") if name not in given]
    if not any(name in SIMPLE_USAGE or name in USAGE_CLASSES or name.startswith(UNITS_PREFIX) for name in given):
        lacking.append("prompt_tokens, completion_tokens or another count")
    if lacking:
        raise BadFile(
            f"nothing in it gives {', '.join(lacking)}: its columns are {', '.join(names) or 'none'}; "
            "name one with --map FIELD=COLUMN or give a constant"
        )
    return fields


def read_csv(lines: Iterable[str], mapping: Mapping[str, str], constants: Mapping[str, str]) -> Iterator[Row]:
    """The rows as events, in order; blank lines are skipped. Raises BadFile with the line number for a bad one."""
    reader = csv.reader(lines, strict=True)
    try:
        header = next(reader, [])
        fields = column_fields(header, mapping, constants)
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                raise BadFile(f"line {reader.line_num}: {len(cells)} cells where the header has {len(header)}")
            values = {**constants, **{field: cells[index] for index, field in fields.items()}}
            yield Row(reader.line_num, ",".join(cells), _event(values, reader.line_num))
    except csv.Error as error:
        raise BadFile(f"line {reader.line_num}: {error}") from error


def _event(values: Mapping[str, str], line: int) -> Event:
    event: Event = {}
    for field, text in values.items():
        text = text.strip()
        if text:
            try:
                _put(event, field, text)
            except ValueError as error:
                raise BadFile(f"line {line}: {field}: {error}") from error
    return event


def _put(event: Event, field: str, text: str) -> None:
    if field == "occurred_at":
        event[field] = format_instant(parse_instant(text))
    elif field in USAGE_CLASSES:
        event.setdefault("usage", {})[field] = _count(text)
    elif field.startswith(UNITS_PREFIX):
        units = event.setdefault("usage", {}).setdefault("units", {})
        units[field.removeprefix(UNITS_PREFIX)] = _count(text)
    elif field in SIMPLE_USAGE or field in COUNTS:
        event[field] = _count(text)
    elif field in FLAGS:
        event[field] = _flag(text)
    else:
        event[field] = text


def _count(text: str) -> int:
    """Any whole number; how large it may be is the door's rule."""
    try:
        return int(text) if text.isascii() and "_" not in text else int("")
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no whole number") from None


def _flag(text: str) -> bool:
    if text.lower() not in (*_TRUE, *_FALSE):
        raise ValueError(f"{text!r} is neither true nor false")
    return text.lower() in _TRUE
