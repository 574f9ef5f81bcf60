"""Is the process there, can it answer, what did it measure."""

from __future__ import annotations

import asyncio
from typing import Annotated

import psycopg
from fastapi import APIRouter, Depends
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from psycopg_pool import PoolTimeout

from services.query.api.described.common import answers, text
from services.query.api.described.families import Health, NotReady
from services.query.api.shapes import json_response
from services.query.parts import QueryParts, parts_of

router = APIRouter(tags=["health"])
READY_SECONDS_MAX = 2.0


@router.get("/healthz", summary="The process is there", responses=answers(Health))
async def get_health() -> Response:
    return json_response({"status": "ok"})


@router.get(
    "/readyz",
    summary="The database answers",
    responses={**answers(Health), **answers(NotReady, 503, "The database is away")},
)
async def get_readiness(parts: Annotated[QueryParts, Depends(parts_of)]) -> Response:
    looking = asyncio.create_task(_why_not(parts))
    # Not a timeout around it: a driver whose server is silent takes seconds to cancel, and a probe would hear nothing.
    done, _ = await asyncio.wait({looking}, timeout=READY_SECONDS_MAX)
    if not done:
        looking.cancel()
    error = looking.result() if done else TimeoutError.__name__
    return json_response({"status": "database away", "error": error}, 503) if error else json_response({"status": "ok"})


async def _why_not(parts: QueryParts) -> str:
    try:
        async with parts.reads.connection(timeout=READY_SECONDS_MAX) as conn:
            await conn.execute("SELECT 1 FROM rollup_state")
    except (psycopg.Error, PoolTimeout) as error:
        return type(error).__name__
    return ""


@router.get("/metrics", summary="Prometheus metrics", responses=text("text/plain", "Metrics as Prometheus reads them"))
async def get_metrics() -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
