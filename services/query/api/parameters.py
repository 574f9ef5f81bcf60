"""Query parameters that several endpoints share. Every model refuses what it doesn't know."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from services.contracts.limits import TEXT_MAX
from services.query.api.cursors import CURSOR_CHARACTERS_MAX
from services.query.api.ranges import known_zone, said_moment

LIMIT_DEFAULT, LIMIT_MAX = 100, 1_000
# An id or a name in a parameter or body: anything one can print.
Name = Annotated[str, StringConstraints(max_length=TEXT_MAX, pattern=r"^[^\x00-\x1f\x7f]*$")]
Id = Annotated[str, StringConstraints(min_length=1, max_length=TEXT_MAX, pattern=r"^[^\x00-\x1f\x7f]*$")]
# Looked at here already, so that whoever has several parameters wrong is told of all of them at once.
Moment = Annotated[
    str,
    Field(description="An instant in RFC 3339, or a local date.", examples=["2026-10-01"]),
    AfterValidator(said_moment),
]
Zone = Annotated[str, Field(max_length=64), AfterValidator(known_zone)]
Limit = Annotated[int, Field(ge=1, le=LIMIT_MAX)]
Cursor = Annotated[str, Field(max_length=CURSOR_CHARACTERS_MAX, description="`next_cursor` of the page before.")]


class NoParameters(BaseModel):
    """For endpoints that take none: whatever is sent is refused by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PageParameters(NoParameters):
    """One page of a list."""

    limit: Limit = LIMIT_DEFAULT
    cursor: Cursor | None = None


class SpanParameters(PageParameters):
    """A list over a range of time. `from` is included, `to` excluded."""

    from_: Annotated[Moment | None, Field(alias="from")] = None
    to: Moment | None = None
    tz: Annotated[Zone | None, Field(description="IANA name; the tenant's by default, else UTC.")] = None
    tenant_id: Name | None = None


class RankedParameters(SpanParameters):
    """A list over a range of time, by what it cost."""

    order: Literal["asc", "desc"] = "desc"


class SnakeDates(NoParameters):
    """Local dates, both included."""

    start_date: Moment | None = None
    end_date: Moment | None = None
    tz: Zone | None = None


class CamelDates(NoParameters):
    """Local dates, both included."""

    start_date: Annotated[Moment | None, Field(alias="startDate")] = None
    end_date: Annotated[Moment | None, Field(alias="endDate")] = None
    tz: Zone | None = None
