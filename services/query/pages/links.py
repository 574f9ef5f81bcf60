"""A page's state lives in its URL: tenant, range, filters. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Final
from urllib.parse import quote, urlencode

from services.query.pages.ranges import RangeName

FILTERS: Final[dict[str, str]] = {"provider": "Provider", "model": "Model", "feature": "Feature", "agent_id": "Agent"}
"""Dimensions a page can be narrowed to, as they stand in its URL, and what they are called."""
VALUE_LENGTH_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class PageState:
    """`path` as it is; `tenant` None where the page shows all, or has the tenant in its path."""

    path: str
    range_name: RangeName
    tenant: str | None = None
    first_day: date | None = None
    last_day: date | None = None
    filters: tuple[tuple[str, str], ...] = ()

    def url(self) -> str:
        parts: list[tuple[str, str]] = []
        if self.tenant is not None:
            parts.append(("tenant", self.tenant))
        parts.append(("range", self.range_name))
        if self.range_name == "custom" and self.first_day and self.last_day:
            parts += [("startDate", self.first_day.isoformat()), ("endDate", self.last_day.isoformat())]
        parts += self.filters
        return f"{self.path}?{urlencode(parts, quote_via=quote)}"

    def with_range(self, name: RangeName) -> str:
        return replace(self, range_name=name, first_day=None, last_day=None).url()

    def with_days(self, first: date, last: date) -> str:
        return replace(self, range_name="custom", first_day=first, last_day=last).url()

    def with_tenant(self, tenant: str | None) -> str:
        return replace(self, tenant=tenant).url()

    def with_filter(self, name: str, value: str) -> str:
        kept = tuple(pair for pair in self.filters if pair[0] != name)
        return replace(self, filters=(*kept, (name, value))).url()

    def without_filter(self, name: str) -> str:
        return replace(self, filters=tuple(pair for pair in self.filters if pair[0] != name)).url()

    def at(self, path: str) -> str:
        """The same tenant and range on another page."""
        return replace(self, path=path, filters=()).url()


def segment(text: str) -> str:
    """A value as one segment of a path; a slash in it stays in it."""
    return quote(text, safe="")
