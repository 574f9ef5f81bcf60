"""What admins did: written with each action, read at /api/v1/admin-log."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from services.contracts.keys import Principal
from services.query.api.cursors import make_cursor, place_after
from services.query.api.described.common import Listing, answers
from services.query.api.described.families import AdminLogRow
from services.query.api.parameters import PageParameters
from services.query.api.problems import Complaints
from services.query.api.shapes import json_response, listing
from services.query.auth import Admin
from services.query.parts import QueryParts, parts_of
from services.query.read.session import reading

router = APIRouter(prefix="/api/v1", tags=["administration"])


async def write_admin_log(
    conn: AsyncConnection[Any], caller: Principal, action: str, target: str, detail: dict[str, object] | None = None
) -> None:
    """Notes an action in the transaction of `conn`. `detail` must hold no secret."""
    await conn.execute(
        "INSERT INTO admin_log (actor_key_id, actor_name, action, target, detail) VALUES (%s, %s, %s, %s, %s)",
        (caller.key_id, caller.name, action, target, orjson.dumps(detail or {}).decode()),
    )


@router.get("/admin-log", summary="What admins did, newest first", responses=answers(Listing[AdminLogRow]))
async def get_admin_log(
    _caller: Admin, asked: Annotated[PageParameters, Query()], parts: Annotated[QueryParts, Depends(parts_of)]
) -> Response:
    complaints = Complaints()
    after = place_after("admin-log", asked.cursor, (int,), complaints)
    complaints.raise_if_any()
    async with reading(parts.reads) as conn, conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT entry_id, at, actor_key_id, actor_name, action, target, detail FROM admin_log "
            "WHERE %(after)s::bigint IS NULL OR entry_id < %(after)s ORDER BY entry_id DESC LIMIT %(limit)s",
            {"after": after[0] if after else None, "limit": asked.limit + 1},
        )
        rows = await cursor.fetchall()
    shown = rows[: asked.limit]
    last = (shown[-1]["entry_id"],) if len(rows) > asked.limit else None
    return json_response(listing(shown, make_cursor("admin-log", last)))
