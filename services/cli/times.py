"""Instants in files and on command lines, to the microsecond. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T t](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?\s*(Z|z|[+-]\d\d:?\d\d)?",
)
_EPOCH_MILLISECONDS = re.compile(r"\d{11,14}")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def parse_instant(text: str) -> datetime:
    """RFC 3339 (a blank instead of `T` is fine), a date, or epoch milliseconds; without an offset it is UTC.

    Digits past the microsecond are cut off, not rounded, so that equal texts and orders stay what they were.
    Raises ValueError, with the text, for anything else.
    """
    text = text.strip()
    if _EPOCH_MILLISECONDS.fullmatch(text):
        return EPOCH + timedelta(milliseconds=int(text))
    if _DATE.fullmatch(text):
        text += "T00:00Z"
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no time (2026-01-31T18:15:46.680590Z, or epoch milliseconds)")
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    try:
        zone = "+00:00" if offset is None or offset in "Zz" else offset
        instant = datetime.fromisoformat(f"{year}-{month}-{day}T{hour}:{minute}:{second or '00'}{zone}")
        return instant.astimezone(UTC) + int((fraction or "")[:6].ljust(6, "0")) * MICROSECOND
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is no time: {error}") from error


def format_instant(instant: datetime) -> str:
    """RFC 3339 in UTC with microseconds."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
