"""API keys: made, listed, revoked, by admins."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from psycopg import AsyncConnection
from pydantic import BaseModel, ConfigDict

from services.contracts.keys import Role
from services.query.api.admin_log import write_admin_log
from services.query.api.described.common import NOTHING, Data, Listing, answers
from services.query.api.described.families import KeyOut, NewKeyOut
from services.query.api.parameters import Id, Limit, Name, NoParameters
from services.query.api.problems import Complaint, not_found, wrong_parameters
from services.query.api.shapes import json_response, listing
from services.query.auth import Admin
from services.query.parts import QueryParts, parts_of

router = APIRouter(prefix="/api/v1/keys", tags=["administration"])
Parts = Annotated[QueryParts, Depends(parts_of)]


class NewKeyBody(BaseModel):
    """`tenant_id` is needed for ingest keys, and not for admins'; without it a viewer sees all tenants."""

    model_config = ConfigDict(extra="forbid")

    role: Role
    tenant_id: Id | None = None
    name: Name = ""


class KeyListParameters(NoParameters):
    limit: Limit = 1_000
    tenant_id: Name | None = None


@router.post("", status_code=201, summary="Make a key; it is shown this once", responses=answers(Data[NewKeyOut], 201))
async def post_key(caller: Admin, body: NewKeyBody, _asked: Annotated[NoParameters, Query()], parts: Parts) -> Response:
    said: dict[str, object] = {"role": body.role, "tenant_id": body.tenant_id, "name": body.name}

    async def note(conn: AsyncConnection[Any], key_id: str) -> None:
        await write_admin_log(conn, caller, "key.create", key_id, said)

    try:
        made = await parts.keys.create(body.role, body.tenant_id, body.name or body.role, note)
    except ValueError as error:
        raise wrong_parameters([Complaint("tenant_id", str(error))]) from None
    return json_response({"data": {"id": made.key_id, "key": made.key, **body.model_dump()}}, 201)


@router.get("", summary="Keys, newest first, without the keys themselves", responses=answers(Listing[KeyOut]))
async def get_keys(_caller: Admin, asked: Annotated[KeyListParameters, Query()], parts: Parts) -> Response:
    records = await parts.keys.list_keys(asked.tenant_id, asked.limit)
    rows = [
        {
            "id": record.key_id,
            "role": record.role,
            "tenant_id": record.tenant_id,
            "name": record.name,
            "created_at": record.created_at,
            "revoked_at": record.revoked_at,
        }
        for record in records
    ]
    return json_response(listing(rows, None))


@router.delete("/{key_id}", status_code=204, summary="Revoke a key", responses=NOTHING)
async def delete_key(caller: Admin, key_id: str, _asked: Annotated[NoParameters, Query()], parts: Parts) -> Response:
    async def note(conn: AsyncConnection[Any], key_id: str) -> None:
        await write_admin_log(conn, caller, "key.revoke", key_id)

    if not await parts.keys.revoke(key_id, note):
        raise not_found("There is no such key, or it is revoked.")
    return Response(status_code=204)
