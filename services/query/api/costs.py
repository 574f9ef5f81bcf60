"""GET /api/v1/costs: every figure by every dimension."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import AfterValidator, ConfigDict, Field, create_model

from services.contracts.dimensions import DEFAULT_MEASURES, DIMENSIONS, MEASURES, TENANT_DIMENSION
from services.query.api.cursors import read_offset
from services.query.api.described.common import answers
from services.query.api.described.spend import CostRow, Envelope
from services.query.api.parameters import Name, SpanParameters
from services.query.api.problems import Complaints
from services.query.api.ranges import read_range, read_zone
from services.query.api.scope import Scope, scope_of_all
from services.query.api.shapes import envelope, json_response, row_body
from services.query.auth import Reader
from services.query.parts import QueryParts, parts_of
from services.query.read.costs import read_costs
from services.query.read.question import CostQuery, Granularity
from services.query.read.session import reading

router = APIRouter(prefix="/api/v1", tags=["costs"])
FILTER_VALUES_MAX = 50
_LIST_CHARACTERS_MAX = 500


def _split(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",")))


def _all_of(known: tuple[str, ...]) -> AfterValidator:
    def check(text: str) -> str:
        unknown = [name for name in _split(text) if name not in known]
        if unknown:
            raise ValueError(f"{', '.join(map(repr, unknown))} unknown; known are {', '.join(known)}")
        return text

    return AfterValidator(check)


_Dimensions = Annotated[str, Field(max_length=_LIST_CHARACTERS_MAX), _all_of(DIMENSIONS)]
_Measures = Annotated[str, Field(max_length=_LIST_CHARACTERS_MAX), _all_of(tuple(MEASURES))]


class _CostBase(SpanParameters):
    model_config = ConfigDict(extra="forbid", frozen=True)

    granularity: Granularity | None = None
    group_by: Annotated[_Dimensions | None, Field(examples=["feature,model"])] = None
    measures: Annotated[_Measures | None, Field(examples=["cost_usd,calls"])] = None
    order_by: Annotated[str | None, Field(max_length=64)] = None
    order: Literal["asc", "desc"] | None = None


def _filter_field(dimension: str) -> Any:  # noqa: ANN401
    values: Any = Field(default_factory=list, alias=f"filter[{dimension}]", max_length=FILTER_VALUES_MAX)
    return (Annotated[list[Name], values], ...)


_FILTER_FIELDS: dict[str, Any] = {f"filter_{name}": _filter_field(name) for name in DIMENSIONS}
CostParameters: Any = create_model("CostParameters", __base__=_CostBase, **_FILTER_FIELDS)


@router.get("/costs", summary="Spend by dimension and time", responses=answers(Envelope[CostRow]))
async def get_costs(
    caller: Reader,
    asked: Annotated[CostParameters, Query()],
    parts: Annotated[QueryParts, Depends(parts_of)],
) -> Response:
    async with reading(parts.reads) as conn:
        scope = await scope_of_all(conn, caller, tenant_ids_of(asked))
        query = cost_query(asked, scope, parts.clock())
        answer = await read_costs(conn, query)
    return json_response(envelope([row_body(row) for row in answer.rows], answer))


def tenant_ids_of(asked: Any) -> tuple[str, ...]:  # noqa: ANN401
    """Tenants named by `tenant_id` or `filter[tenant_id]`."""
    alone = () if asked.tenant_id is None else (asked.tenant_id,)
    return (*alone, *getattr(asked, f"filter_{TENANT_DIMENSION}"))


def cost_query(asked: Any, scope: Scope, now: datetime) -> CostQuery:  # noqa: ANN401
    """The question in the parameters; Problem 400 naming each that is wrong."""
    complaints = Complaints()
    zone: ZoneInfo = read_zone(asked.tz, scope.zone, complaints)
    span = read_range(("from", "to"), (asked.from_, asked.to), zone, now, complaints)
    group_by = _split(asked.group_by) if asked.group_by is not None else ()
    measures = _split(asked.measures) if asked.measures is not None else DEFAULT_MEASURES
    _check_order(asked.order_by, group_by, measures, asked.granularity, complaints)
    offset = read_offset(asked.cursor, complaints)
    complaints.raise_if_any()
    filters = tuple(
        (name, tuple(dict.fromkeys(getattr(asked, f"filter_{name}"))))
        for name in DIMENSIONS
        if name != TENANT_DIMENSION and getattr(asked, f"filter_{name}")
    )
    ordering = asked.order_by or ("bucket" if asked.granularity and asked.order else None)
    return CostQuery(
        tenants=scope.tenants, start=span.start, end=span.end, zone=zone, granularity=asked.granularity,
        group_by=group_by, filters=filters, measures=measures, order_by=ordering,
        descending=(asked.order or ("asc" if ordering in ("bucket", *group_by) else "desc")) == "desc",
        limit=asked.limit, offset=offset,
    )  # fmt: skip


def _check_order(
    order_by: str | None,
    group_by: tuple[str, ...],
    measures: tuple[str, ...],
    granularity: Granularity | None,
    complaints: Complaints,
) -> None:
    allowed = (*measures, *group_by, *(("bucket",) if granularity else ()))
    if order_by is not None and order_by not in allowed:
        complaints.add("order_by", f"must be one of what is asked for: {', '.join(allowed)}")
