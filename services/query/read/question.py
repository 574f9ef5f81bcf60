"""A question about spend, its answer, and why one can be refused. Plain values, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from services.contracts.dimensions import DEFAULT_MEASURES

Granularity = Literal["minute", "hour", "day", "week", "month"]
GRANULARITIES: tuple[Granularity, ...] = ("minute", "hour", "day", "week", "month")

# Money in USD exactly, counts, milliseconds; None where nothing was measured (an average of no calls).
Figure = int | Decimal | float | None


class QueryRefused(Exception):
    """The question can't be answered as it is; `parameter` names what to change, the message says what would work."""

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(message)
        self.parameter = parameter
        self.message = message


class NotKept(QueryRefused):
    """What would answer it was let go by retention; the message names the nearest that can be answered."""


@dataclass(frozen=True, slots=True)
class CostQuery:
    """What was spent in [start, end) by whom on what.

    `tenants` are tenant_no; None is all of them, for callers that may see all. `start` and `end` are aware. Buckets
    are local to `zone`; without a granularity there is one row per group. Values of one filter are alternatives,
    filters are joined by "and". `order_by` is a measure, a dimension of `group_by` or `bucket`; by default dearest
    first, or by bucket where there are buckets.
    """

    tenants: tuple[int, ...] | None
    start: datetime
    end: datetime
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    granularity: Granularity | None = None
    group_by: tuple[str, ...] = ()
    filters: tuple[tuple[str, tuple[str, ...]], ...] = ()
    measures: tuple[str, ...] = DEFAULT_MEASURES
    order_by: str | None = None
    descending: bool = True
    limit: int = 100
    offset: int = 0

    def __post_init__(self) -> None:
        # Two moments of one zone are compared and subtracted by their clocks' faces: wrong where a clock moves.
        object.__setattr__(self, "start", self.start.astimezone(UTC))
        object.__setattr__(self, "end", self.end.astimezone(UTC))
        assert self.start < self.end, "an empty range is refused where it comes in"


@dataclass(frozen=True, slots=True)
class CostRow:
    """One group in one bucket. `bucket` is the local start of the bucket, None without a granularity."""

    dimensions: dict[str, str]
    bucket: datetime | None
    figures: dict[str, Figure]


@dataclass(frozen=True, slots=True)
class CostAnswer:
    """Rows asked for, and totals over all there are, not only the rows of this page of the answer."""

    rows: tuple[CostRow, ...]
    totals: dict[str, Figure]
    data_through: datetime | None
    unpriced_events: int
    late_events: int
    next_offset: int | None
