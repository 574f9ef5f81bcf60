"""Where the next page of a list begins: opaque to callers, checked when it comes back. Pure.

A list in order of time goes on *after a row*, so that rows that come in meanwhile move nothing; a ranking goes on at a
place, since its order is by figures that change themselves.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson

from services.query.api.problems import Complaints

CURSOR_CHARACTERS_MAX: Final = 2_000
_OFFSET: Final = "at"
_OFFSET_MAX: Final = 100_000_000
_INTEGER_MAX: Final = 2**63 - 1


def make_cursor(kind: str, row: Sequence[object] | None) -> str | None:
    """The cursor after `row`: the values a list called `kind` is ordered by; None after the last."""
    if row is None:
        return None
    return base64.urlsafe_b64encode(orjson.dumps([kind, *row])).rstrip(b"=").decode()


def read_cursor(kind: str, cursor: str, shape: Sequence[type]) -> tuple[Any, ...] | None:
    """The values again, each of the type that `shape` says; None for what this list did not make."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        said, *values = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if said != kind or len(values) != len(shape):
            return None
        return tuple(_typed(value, wanted) for value, wanted in zip(values, shape, strict=True))
    except (ValueError, TypeError, binascii.Error):
        return None


def make_offset(offset: int | None) -> str | None:
    return make_cursor(_OFFSET, None if offset is None else (offset,))


def place_after(kind: str, cursor: str | None, shape: Sequence[type], complaints: Complaints) -> tuple[Any, ...] | None:
    """The row a page begins after, None for the first page."""
    if cursor is None:
        return None
    found = read_cursor(kind, cursor, shape)
    if found is None:
        complaints.add("cursor", "not a cursor of this list")
    return found


def read_offset(cursor: str | None, complaints: Complaints) -> int:
    """Where a page of a ranking begins."""
    found = place_after(_OFFSET, cursor, (int,), complaints)
    if found is not None and not 0 <= found[0] <= _OFFSET_MAX:
        complaints.add("cursor", "not a cursor of this list")
        return 0
    return int(found[0]) if found else 0


def _typed(value: object, wanted: type) -> object:
    """ValueError or TypeError where it isn't."""
    if wanted is datetime and isinstance(value, str):
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None or not 1970 <= moment.year <= 2200:
            raise ValueError(value)
        return moment
    if wanted is UUID and isinstance(value, str):
        return UUID(value)
    if wanted is int and isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _INTEGER_MAX:
        return value
    if wanted is str and isinstance(value, str) and "\x00" not in value:
        return value
    raise TypeError(wanted)
