"""The HTTP door."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from services.contracts.usage_schema import usage_schema
from services.gateway import metrics
from services.gateway.body import ReceivingBudget, read_body
from services.gateway.ingest import Ingest
from services.gateway.intake import Intake, JsonForm, intake_json
from services.gateway.problems import UnknownContentType, add_handlers, problem

_FORMS: dict[str, JsonForm] = {
    "application/json": "json",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
}


def make_app(ingest: Ingest, budget: ReceivingBudget, why_not_ready: Callable[[], Awaitable[str]]) -> FastAPI:
    """The application; opens nothing by itself."""
    app = FastAPI(title="Spendstream gateway", docs_url=None, redoc_url=None)
    add_handlers(app)
    schema = usage_schema()
    published_schema = orjson.dumps(schema, option=orjson.OPT_INDENT_2)

    @app.post("/v1/events", openapi_extra=_openapi_body(schema), summary="Record usage events")
    async def record_events(request: Request) -> Response:
        """One event, an array of events, or NDJSON. Answered once Kafka has what was accepted."""
        address = request.client.host if request.client else ""
        principal = await ingest.authenticate(request.headers.get("authorization"), address)
        form = _form(request)
        with budget.share() as share:
            body = await read_body(request, share)
            intake = await ingest.read(principal, len(body), lambda: intake_json(body, form, principal))
        await ingest.publish("http", intake)
        return _answer(intake)

    @app.get("/v1/schema", summary="The JSON Schema of a usage event")
    async def read_schema() -> Response:
        return Response(published_schema, media_type="application/schema+json")

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        reason = await why_not_ready()
        if reason:
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, reason)
        return Response(b'{"status":"ready"}', media_type="application/json")

    @app.get("/metrics", include_in_schema=False)
    async def read_metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return app


def _form(request: Request) -> JsonForm:
    given = request.headers.get("content-type", "application/json")
    form = _FORMS.get(given.partition(";")[0].strip().lower())
    if form is None:
        raise UnknownContentType("Content-Type must be application/json or application/x-ndjson")
    return form


def _answer(intake: Intake) -> Response:
    status = HTTPStatus.OK if intake.admitted_count else HTTPStatus.BAD_REQUEST
    metrics.REQUESTS.labels("http", int(status)).inc()
    body = {"accepted": intake.admitted_count, "rejected": intake.rejected}
    return Response(orjson.dumps(body), status, media_type="application/json")


def _openapi_body(schema: dict[str, Any]) -> dict[str, Any]:
    event = {name: part for name, part in schema.items() if not name.startswith("$")}
    events = {"oneOf": [event, {"type": "array", "items": event, "minItems": 1}]}
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": events}, "application/x-ndjson": {"schema": {"type": "string"}}},
        },
        "security": [{"bearer": []}],
    }
