"""Instants in JSON: RFC 3339 with a zone or epoch milliseconds, to and from protobuf's Timestamp, exactly."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from services.contracts.json_strict import json_kind

_RFC_3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ]((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)(?:\.(\d{1,9}))?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)?",
    re.ASCII,
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECONDS_MAX: Final = 1 << 53


def decode_occurred_at(name: str, value: object) -> Timestamp:
    """The instant `value` says, a text or whole number; raises ValueError naming the field `name`."""
    if type(value) is int:
        if abs(value) > _MILLISECONDS_MAX:
            raise ValueError(f"{name} is out of range")
        seconds, milliseconds = divmod(value, 1_000)
        return Timestamp(seconds=seconds, nanos=milliseconds * 1_000_000)
    if type(value) is not str:
        raise ValueError(f"{name} must be an RFC 3339 text or epoch milliseconds, not {json_kind(value)}")
    match = _RFC_3339.fullmatch(value)
    if match is None:
        raise ValueError(f"{name} must look like 2026-10-01T12:30:00.250Z (RFC 3339), or be epoch milliseconds")
    date, time, fraction, zone = match.groups()
    if zone is None:
        raise ValueError(f"{name} has no zone: end it with Z or an offset such as +02:00")
    try:
        at = datetime.fromisoformat(f"{date}T{time}{zone.upper().replace('Z', '+00:00')}")
    except ValueError:
        raise ValueError(f"{name} names a day that does not exist") from None
    nanos = int(fraction.ljust(9, "0")) if fraction else 0
    return Timestamp(seconds=int(at.timestamp()), nanos=nanos)


def encode_timestamp(timestamp: Timestamp) -> str:
    """RFC 3339 in UTC with as many digits after the second as are needed; ValueError outside the years 1 to 9999."""
    try:
        at = _EPOCH + timedelta(seconds=timestamp.seconds)
    except OverflowError:
        raise ValueError("the timestamp is outside the years 1 to 9999") from None
    fraction = f".{timestamp.nanos:09d}".rstrip("0") if timestamp.nanos else ""
    return f"{at:%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + fraction + "Z"
