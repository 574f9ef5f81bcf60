"""What tenants pay instead of the list price: dated overrides, checked as a part of the price book and taken by the
processor within seconds. What was billed stays as it was."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pricing.book import PriceBookError, read_book, read_text
from pricing.nodes import Problem as BookProblem
from pricing.nodes import parse_moment
from services.contracts.overrides import OVERRIDE_COLUMNS, OVERRIDES_MAX, READ_OVERRIDES, Override, overrides_text
from services.query.api.admin_log import write_admin_log
from services.query.api.cursors import make_offset, read_offset
from services.query.api.described.common import Data, answers
from services.query.api.described.spend import OverrideEnd, OverrideList, OverrideRow
from services.query.api.parameters import Id, Name, NoParameters, PageParameters
from services.query.api.problems import Complaint, Complaints, Problem, not_found, wrong_parameters
from services.query.api.shapes import json_response, listing
from services.query.auth import Admin
from services.query.parts import QueryParts, parts_of
from services.query.read.tenants import find_tenant

router = APIRouter(prefix="/api/v1/prices/overrides", tags=["prices"])
Parts = Annotated[QueryParts, Depends(parts_of)]
Nothing = Annotated[NoParameters, Query()]
Amount = Annotated[str, StringConstraints(min_length=1, max_length=40)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
_COLUMNS: Final = f"override_id, {', '.join(OVERRIDE_COLUMNS)}, created_at, created_by"
_NO_OVERRIDE: Final = "There is no such override."
# One at a time: each is checked beside all others.
_LOCK: Final = "SELECT pg_advisory_xact_lock(720_312)"
PAST: Final = (
    "lies in the past: what was billed stays as it was, and calls of then that come late will be billed by this. "
    "Say past: true if that is meant"
)


class NewOverride(BaseModel):
    """`multiplier` on the list price, or prices in the keys of a price book's entry; decimals are strings."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: Id
    provider: Id
    model: Annotated[Id, Field(description='A model of the price book, or "*" for all of the provider.')]
    effective_from: Annotated[Text, Field(description="A date (midnight UTC) or an RFC 3339 instant, included.")]
    effective_until: Annotated[Text | None, Field(description="Not included; open where left out.")] = None
    reason: Text
    multiplier: Amount | None = None
    prices: Annotated[dict[str, Amount], Field(max_length=20)] | None = None
    units: Annotated[dict[str, Any], Field(max_length=100)] | None = None
    long_context: Annotated[list[Any], Field(max_length=20)] | None = None
    windows: Annotated[list[Any], Field(max_length=100)] | None = None
    service_tiers: Annotated[dict[str, Any], Field(max_length=10)] | None = None
    regions: Annotated[list[Any], Field(max_length=100)] | None = None
    dropped: Annotated[Text | None, Field(description="Why it lacks a price that the list has.")] = None
    past: Annotated[bool, Field(description="effective_from may lie in the past.")] = False

    def terms(self) -> dict[str, Any]:
        """What of it is price."""
        said = self.model_dump(exclude_none=True)
        return {name: value for name, value in said.items() if name not in _NOT_TERMS}


_NOT_TERMS: Final = frozenset(("tenant_id", "provider", "model", "effective_from", "effective_until", "reason", "past"))


class OverrideListParameters(PageParameters):
    tenant_id: Name | None = None


@dataclass(frozen=True, slots=True)
class StoredOverride:
    """A row of `price_override`."""

    override_id: UUID
    tenant_id: str
    provider: str
    model: str
    effective_from: datetime
    effective_until: datetime | None
    terms: dict[str, Any]
    reason: str
    created_at: datetime
    created_by: str

    def state(self, now: datetime) -> str:
        """coming, in force or over."""
        if self.effective_from > now:
            return "coming"
        return "over" if self.effective_until is not None and self.effective_until <= now else "in force"


@router.get("", summary="What tenants pay instead of the list price", responses=answers(OverrideList))
async def get_overrides(_caller: Admin, asked: Annotated[OverrideListParameters, Query()], parts: Parts) -> Response:
    complaints = Complaints()
    offset = read_offset(asked.cursor, complaints)
    complaints.raise_if_any()
    found = await read_overrides(parts, asked.tenant_id, asked.limit + 1, offset)
    more = offset + asked.limit if len(found) > asked.limit else None
    now = parts.clock()
    in_force = await parts.books.read(parts.writes, parts.book)
    rows = [_body(one, now) for one in found[: asked.limit]]
    return json_response({**listing(rows, make_offset(more)), "version": in_force.book.version})


async def read_overrides(parts: QueryParts, tenant_id: str | None, limit: int, offset: int = 0) -> list[StoredOverride]:
    """By tenant, then provider and model, the newest first."""
    where = "WHERE tenant_id = %(tenant)s " if tenant_id is not None else ""
    async with parts.writes.connection() as conn, conn.cursor(row_factory=class_row(StoredOverride)) as cursor:
        await cursor.execute(
            f"SELECT {_COLUMNS} FROM price_override {where}ORDER BY tenant_id, provider, model, effective_from DESC, "
            "override_id LIMIT %(limit)s OFFSET %(offset)s".encode(),
            {"tenant": tenant_id, "limit": limit, "offset": offset},
        )
        found: list[StoredOverride] = await cursor.fetchall()
    return found


@router.post("", status_code=201, summary="Add an override", responses=answers(Data[OverrideRow], 201))
async def post_override(caller: Admin, body: NewOverride, _asked: Nothing, parts: Parts) -> Response:
    now = parts.clock()
    start, end = _span(body, now)
    new = Override(body.tenant_id, body.provider, body.model, start, end, body.terms(), body.reason)
    in_force = await parts.books.read(parts.writes, parts.book)
    book_text = in_force.body if in_force.body is not None else read_text(parts.settings.price_book)
    async with parts.writes.connection() as conn:
        await conn.execute(_LOCK)
        if await find_tenant(conn, body.tenant_id) is None:
            raise wrong_parameters([Complaint("tenant_id", "there is no such tenant")])
        known = [Override(*row) for row in await (await conn.execute(READ_OVERRIDES.encode())).fetchall()]
        if len(known) >= OVERRIDES_MAX:
            raise Problem(409, f"There are {OVERRIDES_MAX} overrides, which is as many as there may be.")
        await _check(book_text, [*known, new])
        made = await _one(
            conn,
            f"INSERT INTO price_override ({', '.join(OVERRIDE_COLUMNS)}, created_by) "
            f"VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING {_COLUMNS}",
            (
                new.tenant_id, new.provider, new.model, new.effective_from, new.effective_until, Jsonb(new.terms),
                new.reason, caller.name,
            ),
        )  # fmt: skip
        assert made is not None
        await write_admin_log(conn, caller, "price_override.create", str(made.override_id), _said(made, now))
    return json_response({"data": _body(made, now)}, 201)


@router.delete(
    "/{override_id}",
    summary="End an override, or take one back that has not begun",
    responses=answers(Data[OverrideEnd]),
)
async def delete_override(caller: Admin, override_id: str, _asked: Nothing, parts: Parts) -> Response:
    now = parts.clock().replace(microsecond=0)
    async with parts.writes.connection() as conn:
        await conn.execute(_LOCK)
        found = await _find(conn, override_id)
        if found.state(now) == "over":
            raise Problem(409, "This override is over: what is past stays as it was.")
        begun = found.effective_from < now
        if begun:
            change = "UPDATE price_override SET effective_until = %(now)s WHERE override_id = %(id)s"
        else:
            change = "DELETE FROM price_override WHERE override_id = %(id)s"
        await conn.execute(change.encode(), {"now": now, "id": found.override_id})
        action = "price_override.end" if begun else "price_override.remove"
        await write_admin_log(conn, caller, action, override_id, _said(found, now))
    return json_response({"data": {"id": override_id, "effective_until": now if begun else None, "removed": not begun}})


def _span(body: NewOverride, now: datetime) -> tuple[datetime, datetime | None]:
    complaints = Complaints()
    found: dict[str, datetime] = {}
    for name in ("effective_from", "effective_until"):
        text = getattr(body, name)
        if text is not None:
            try:
                found[name] = parse_moment(text)
            except ValueError as error:
                complaints.add(name, str(error))
    start, end = found.get("effective_from"), found.get("effective_until")
    if start is not None and start < now - timedelta(seconds=1) and not body.past:
        complaints.add("effective_from", PAST)
    if start is not None and end is not None and end <= start:
        complaints.add("effective_until", "is not after effective_from")
    complaints.raise_if_any()
    assert start is not None
    return start, end


async def _check(book_text: str, overrides: Sequence[Override]) -> None:
    """Problem 400 for what makes no book with the others and the list."""
    new = overrides[-1]
    try:
        await asyncio.to_thread(read_book, book_text, overrides=overrides_text(overrides))
    except PriceBookError as error:
        raise wrong_parameters([_complaint(problem, new.tenant_id) for problem in error.problems]) from None


def _complaint(problem: BookProblem, tenant_id: str) -> Complaint:
    """By the names of the body; what concerns no single field of it by "override"."""
    prefix = f"overrides.{tenant_id}."
    if problem.key.startswith(prefix):
        return Complaint(problem.key.removeprefix(prefix), problem.message)
    return Complaint("override", problem.message)


async def _find(conn: AsyncConnection[Any], override_id: str) -> StoredOverride:
    try:
        wanted = UUID(override_id)
    except ValueError:
        raise not_found(_NO_OVERRIDE) from None
    found = await _one(conn, f"SELECT {_COLUMNS} FROM price_override WHERE override_id = %s FOR UPDATE", (wanted,))
    if found is None:
        raise not_found(_NO_OVERRIDE)
    return found


async def _one(conn: AsyncConnection[Any], sql: str, values: tuple[object, ...]) -> StoredOverride | None:
    async with conn.cursor(row_factory=class_row(StoredOverride)) as cursor:
        await cursor.execute(sql.encode(), values)
        return await cursor.fetchone()


def _body(override: StoredOverride, now: datetime) -> dict[str, Any]:
    return {
        "id": str(override.override_id),
        "tenant_id": override.tenant_id,
        "provider": override.provider,
        "model": override.model,
        "effective_from": override.effective_from,
        "effective_until": override.effective_until,
        **override.terms,
        "reason": override.reason,
        "state": override.state(now),
        "created_at": override.created_at,
        "created_by": override.created_by,
    }


def _said(override: StoredOverride, now: datetime) -> dict[str, object]:
    left_out = ("id", "state", "created_at", "created_by")
    return {name: value for name, value in _body(override, now).items() if name not in left_out}
