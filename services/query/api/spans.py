"""From the shared parameters to scope, range and page, in one step for every list."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from psycopg import AsyncConnection

from services.contracts.keys import Principal
from services.query.api.cursors import read_offset
from services.query.api.parameters import CamelDates, RankedParameters, SnakeDates, SpanParameters
from services.query.api.problems import Complaints
from services.query.api.ranges import Range, read_range, read_zone
from services.query.api.scope import Scope, scope_of
from services.query.read.costs import read_costs
from services.query.read.question import CostAnswer, CostQuery


@dataclass(frozen=True, slots=True)
class Span:
    """Whose, when and which page."""

    scope: Scope
    range: Range
    offset: int = 0
    limit: int = 1_000

    def query(self, **changes: Any) -> CostQuery:  # noqa: ANN401
        """A question about this span."""
        base = CostQuery(
            tenants=self.scope.tenants, start=self.range.start, end=self.range.end, zone=self.range.zone,
            limit=self.limit, offset=self.offset,
        )  # fmt: skip
        return replace(base, **changes)


async def read_span(
    conn: AsyncConnection[Any],
    caller: Principal,
    asked: SpanParameters,
    now: datetime,
    tenant_id: str | None = None,
    complaints: Complaints | None = None,
) -> Span:
    """The span of a list under /api/v1; `tenant_id` of the path goes before the parameter."""
    complaints = complaints or Complaints()
    scope = await scope_of(conn, caller, tenant_id if tenant_id is not None else asked.tenant_id)
    zone = read_zone(asked.tz, scope.zone, complaints)
    span = read_range(("from", "to"), (asked.from_, asked.to), zone, now, complaints)
    # The cursors of other lists are read by these.
    offset = read_offset(asked.cursor, complaints) if isinstance(asked, RankedParameters) else 0
    complaints.raise_if_any()
    return Span(scope, span, offset, asked.limit)


def read_dates(asked: SnakeDates | CamelDates, zone: ZoneInfo, now: datetime) -> Range:
    """The range of an endpoint whose dates are both included."""
    complaints = Complaints()
    names = ("startDate", "endDate") if isinstance(asked, CamelDates) else ("start_date", "end_date")
    zone = read_zone(asked.tz, zone, complaints)
    span = read_range(names, (asked.start_date, asked.end_date), zone, now, complaints, last_included=True)
    complaints.raise_if_any()
    return span


async def answer(conn: AsyncConnection[Any], span: Span, **changes: Any) -> CostAnswer:  # noqa: ANN401
    """Asks the query layer about a span."""
    return await read_costs(conn, span.query(**changes))
