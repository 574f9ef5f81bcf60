"""A page's question as its URL asks it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from fastapi import Request

from services.query.pages.links import FILTERS, VALUE_LENGTH_MAX, PageState
from services.query.pages.ranges import LABELS, PageRange, RangeError, RangeName, resolve
from services.query.pages.scope import Scope

_DAY_LENGTH: Final = 10


@dataclass(frozen=True, slots=True)
class Asked:
    """`tenant` '' or None: all."""

    tenant: str | None
    range_name: RangeName
    first_day: date | None
    last_day: date | None
    filters: tuple[tuple[str, str], ...]

    def state(self, path: str, *, tenant: str | None) -> PageState:
        return PageState(path, self.range_name, tenant, self.first_day, self.last_day, self.filters)

    def resolve(self, now: datetime, scope: Scope, oldest: datetime | None) -> PageRange:
        return resolve(
            self.range_name, now, scope.zone, first_day=self.first_day, last_day=self.last_day, oldest=oldest
        )


def asked_of(request: Request, default: RangeName) -> Asked:
    """RangeError where the URL makes no sense. Parameters of no page are ignored."""
    query = request.query_params
    first, last = _day(query.get("startDate"), "startDate"), _day(query.get("endDate"), "endDate")
    name = query.get("range") or ("custom" if first or last else default)
    known: dict[str, RangeName] = {key: key for key in LABELS}
    if name not in known:
        raise RangeError(f"range is one of {', '.join(LABELS)}, not {name[:40]!r}")
    if known[name] != "custom":
        first = last = None
    filters = tuple((key, query[key]) for key in FILTERS if key in query)
    if any(
        len(value) > VALUE_LENGTH_MAX or "\x00" in value for _, value in (*filters, ("tenant", query.get("tenant", "")))
    ):
        raise RangeError(f"a filter has at most {VALUE_LENGTH_MAX} characters")
    return Asked(query.get("tenant"), known[name], first, last, filters)


def _day(text: str | None, name: str) -> date | None:
    if not text:
        return None
    try:
        if len(text) != _DAY_LENGTH:
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise RangeError(f"{name} is a day as YYYY-MM-DD, not {text[:40]!r}") from None
