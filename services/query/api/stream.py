"""GET /api/v1/stream: today's totals as server-sent events, whenever they have changed.

Nothing is kept for a listener: each event holds the whole state, so that a browser that reconnects, after a restart of
the service too, has missed nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

import orjson
import psycopg
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response, StreamingResponse
from psycopg_pool import PoolTimeout
from pydantic import Field

from services.query.api.described.common import events
from services.query.api.parameters import Name, NoParameters
from services.query.api.problems import Problem
from services.query.api.ranges import last_days
from services.query.api.scope import Scope, scope_of
from services.query.api.shapes import envelope
from services.query.api.spans import Span, answer
from services.query.auth import Reader
from services.query.parts import QueryParts, parts_of
from services.query.read.session import reading

router = APIRouter(prefix="/api/v1", tags=["costs"])
EVERY_SECONDS = 1.0
# A comment now and then tells proxies that the line is alive.
QUIET_SECONDS_MAX = 15.0
LIFE_SECONDS_MAX = 3_600
LISTENERS_MAX = 200
_MEASURES = ("cost_usd", "calls", "errors", "prompt_tokens", "completion_tokens", "total_tokens")


class StreamParameters(NoParameters):
    tenant_id: Name | None = None
    max_seconds: Annotated[int, Field(ge=1, le=LIFE_SECONDS_MAX, description="The stream ends after this.")] = (
        LIFE_SECONDS_MAX
    )


@router.get(
    "/stream",
    summary="Today's totals as server-sent events",
    responses=events("An event `totals` whenever they have changed"),
)
async def get_stream(
    request: Request,
    caller: Reader,
    asked: Annotated[StreamParameters, Query()],
    parts: Annotated[QueryParts, Depends(parts_of)],
) -> Response:
    if len(parts.listeners) >= LISTENERS_MAX:
        raise Problem(503, "Too many listeners; ask /api/v1/costs instead.")
    async with reading(parts.reads) as conn:
        scope = await scope_of(conn, caller, asked.tenant_id)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(
        _listen(request, scope, parts, asked.max_seconds), media_type="text/event-stream", headers=headers
    )


async def _listen(request: Request, scope: Scope, parts: QueryParts, seconds: int) -> AsyncIterator[bytes]:
    me, loop = id(request), asyncio.get_running_loop()
    parts.listeners.add(me)
    ends_at, told_at, last = loop.time() + seconds, 0.0, b""
    try:
        yield b"retry: 2000\n\n"
        while loop.time() < ends_at and not await request.is_disconnected():
            state = await _state(scope, parts)
            if state and state != last:
                yield b"event: totals\ndata: " + state + b"\n\n"
                last, told_at = state, loop.time()
            elif loop.time() - told_at > QUIET_SECONDS_MAX:
                yield b": still here\n\n"
                told_at = loop.time()
            await asyncio.sleep(EVERY_SECONDS)
    finally:
        parts.listeners.discard(me)


async def _state(scope: Scope, parts: QueryParts) -> bytes:
    """Today's totals in the tenant's zone; nothing while the database is away."""
    span = Span(scope, last_days(1, scope.zone, parts.clock()))
    try:
        async with reading(parts.reads) as conn:
            found = await answer(conn, span, measures=_MEASURES)
    except (psycopg.Error, PoolTimeout):
        return b""
    return orjson.dumps(envelope([], found))
