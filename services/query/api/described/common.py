"""Envelopes, errors and the types that all families share."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from services.contracts.dimensions import DIMENSIONS, MEASURES, Measure

Usd = Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$", examples=["0.000069"], description="USD, exact.")]
UsdNumber = Annotated[float, Field(description="USD, the nearest JSON number.")]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Percent = Annotated[float, Field(ge=0, le=100)]
Milliseconds = Annotated[float, Field(ge=0)] | None
Row = TypeVar("Row")


class Described(BaseModel):
    model_config = ConfigDict(extra="forbid")


class WrongParameter(Described):
    parameter: str
    detail: str


class ProblemDetails(Described):
    """RFC 9457; `errors` names each wrong parameter or field."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[WrongParameter] = []


class Data(Described, Generic[Row]):
    data: Row


class Listing(Described, Generic[Row]):
    """One page of a list. `next_cursor` is null on the last."""

    data: list[Row]
    data_through: datetime | None
    next_cursor: str | None


def figures() -> dict[str, Any]:
    """Every measure as an optional field: an answer has those that were asked for."""
    return {
        name: (_figure(measure), Field(default=None, json_schema_extra=_plain)) for name, measure in MEASURES.items()
    }


def _figure(measure: Measure) -> Any:  # noqa: ANN401
    return {"usd": Usd, "count": Count, "ms": Milliseconds}[measure.unit]


def _plain(schema: dict[str, Any]) -> None:
    """What may be left out is not null for that."""
    schema.pop("default", None)


def dimensions() -> dict[str, Any]:
    return {name: (str, Field(default="", json_schema_extra=_plain)) for name in DIMENSIONS}


def left_out() -> Any:  # noqa: ANN401
    """A field that may be left out."""
    return Field(default=None, json_schema_extra=_plain)


def optional(kind: Any) -> Any:  # noqa: ANN401
    """The same for models that are made."""
    return (kind, left_out())


def answers(model: Any, status: int = 200, description: str = "Success") -> dict[int | str, dict[str, Any]]:  # noqa: ANN401
    """`responses=` of a route that answers with `model`."""
    return {status: {"model": model, "description": description}}


def text(media_type: str, description: str) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route that answers with text."""
    return {200: {"description": description, "content": {media_type: {"schema": {"type": "string"}}}}}


def events(description: str) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route that answers with server-sent events: each has a name and JSON."""
    text = {"type": "string"}
    schema = {"type": "object", "properties": {"event": text, "data": {**text, "contentMediaType": "application/json"}}}
    return {200: {"description": description, "content": {"text/event-stream": {"schema": schema}}}}


NOTHING: dict[int | str, dict[str, Any]] = {204: {"description": "Done"}}
