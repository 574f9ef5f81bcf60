"""Tenants: whoever may read sees theirs, admins add and rename them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from psycopg.rows import class_row
from pydantic import BaseModel, ConfigDict, field_validator

from services.query.api.admin_log import write_admin_log
from services.query.api.cursors import make_cursor, place_after
from services.query.api.described.common import Data, Listing, answers
from services.query.api.described.families import TenantOut
from services.query.api.parameters import Id, NoParameters, PageParameters
from services.query.api.problems import Complaint, Complaints, Problem, not_found, wrong_parameters
from services.query.api.ranges import is_zone
from services.query.api.scope import NO_TENANT
from services.query.api.shapes import json_response, listing
from services.query.auth import Admin, Reader
from services.query.parts import QueryParts, parts_of
from services.query.read.session import reading
from services.query.read.tenants import Tenant, find_tenant, read_tenants

router = APIRouter(prefix="/api/v1/tenants", tags=["administration"])
Parts = Annotated[QueryParts, Depends(parts_of)]
_RETURNING = "RETURNING tenant_no, tenant_id, name, tz, created_at"


class TenantChange(BaseModel):
    """What is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    name: Id | None = None
    tz: str | None = None

    @field_validator("tz")
    @classmethod
    def _known_zone(cls, tz: str | None) -> str | None:
        if tz is not None and not is_zone(tz):
            raise ValueError("not a time zone's IANA name, like Europe/Berlin")
        return tz


class NewTenant(TenantChange):
    tenant_id: Id


@router.get("", summary="Tenants by id", responses=answers(Listing[TenantOut]))
async def get_tenants(caller: Reader, asked: Annotated[PageParameters, Query()], parts: Parts) -> Response:
    complaints = Complaints()
    after = place_after("tenants", asked.cursor, (str,), complaints)
    complaints.raise_if_any()
    async with reading(parts.reads) as conn:
        if caller.tenant_id is not None:
            own = await find_tenant(conn, caller.tenant_id)
            found = [own] if own else []
        else:
            found = await read_tenants(conn, asked.limit + 1, after[0] if after else None)
    shown = found[: asked.limit]
    last = (shown[-1].tenant_id,) if len(found) > asked.limit else None
    return json_response(listing([_body(tenant) for tenant in shown], make_cursor("tenants", last)))


@router.post("", status_code=201, summary="Add a tenant", responses=answers(Data[TenantOut], 201))
async def post_tenant(
    caller: Admin, body: NewTenant, _asked: Annotated[NoParameters, Query()], parts: Parts
) -> Response:
    async with parts.writes.connection() as conn, conn.cursor(row_factory=class_row(Tenant)) as cursor:
        await cursor.execute(
            f"INSERT INTO tenant (tenant_id, name, tz) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING {_RETURNING}",
            (body.tenant_id, body.name or body.tenant_id, body.tz or "UTC"),
        )
        made = await cursor.fetchone()
        if made is None:
            raise Problem(409, "There is a tenant of this id.", [Complaint("tenant_id", "is taken")])
        await write_admin_log(conn, caller, "tenant.create", body.tenant_id, body.model_dump(exclude={"tenant_id"}))
    return json_response({"data": _body(made)}, 201)


@router.patch("/{tenant_id:path}", summary="Rename a tenant or set its time zone", responses=answers(Data[TenantOut]))
async def patch_tenant(
    caller: Admin, tenant_id: str, body: TenantChange, _asked: Annotated[NoParameters, Query()], parts: Parts
) -> Response:
    if body.name is None and body.tz is None:
        raise wrong_parameters([Complaint("name", "give name or tz")])
    if "\x00" in tenant_id:
        raise not_found(NO_TENANT)
    async with parts.writes.connection() as conn, conn.cursor(row_factory=class_row(Tenant)) as cursor:
        await cursor.execute(
            f"UPDATE tenant SET name = coalesce(%s, name), tz = coalesce(%s, tz) WHERE tenant_id = %s {_RETURNING}",
            (body.name, body.tz, tenant_id),
        )
        changed = await cursor.fetchone()
        if changed is None:
            raise not_found(NO_TENANT)
        await write_admin_log(conn, caller, "tenant.change", tenant_id, body.model_dump(exclude_none=True))
    return json_response({"data": _body(changed)})


def _body(tenant: Tenant) -> dict[str, Any]:
    return {
        "tenant_id": tenant.tenant_id,
        "name": tenant.name,
        "tz": tenant.tz,
        "created_at": tenant.created_at,
    }
