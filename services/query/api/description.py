"""/openapi.json: what FastAPI knows of the routes, with the errors and the keys they all have in common."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from services.query.api.described.common import ProblemDetails
from services.query.api.problems import PROBLEM_TYPE

_REF: Final = "#/components/schemas/{model}"
_ERRORS: Final = {
    "400": "A parameter or a field of the body is wrong, or what is asked for is too much; `errors` names which.",
    "401": "No valid key.",
    "403": "The key's role may not do this.",
    "404": "There is no such thing, or it is another tenant's.",
    "409": "It is there already.",
    "413": "The body is too large.",
    "503": "The database does not answer, or it took too long.",
}
_OF_CHANGES: Final = {"409", "413"}
_OPEN: Final = ("/healthz", "/readyz", "/metrics")


def install_description(app: FastAPI) -> None:
    """Makes `app.openapi` tell it, once."""

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _description(app)
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]


def _description(app: FastAPI) -> dict[str, Any]:
    made = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    components = made.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for ours in ("HTTPValidationError", "ValidationError"):
        schemas.pop(ours, None)
    problem = ProblemDetails.model_json_schema(ref_template=_REF)
    schemas |= problem.pop("$defs")
    schemas["ProblemDetails"] = problem
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "description": "An API key."}}
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            _complete(operation, path, changes=method != "get")
    return made


def _complete(operation: dict[str, Any], path: str, *, changes: bool) -> None:
    for parameter in operation.get("parameters", ()):
        _describe(parameter)
    answers = operation["responses"]
    # Whatever is wrong with a parameter is told with 400.
    answers.pop("422", None)
    if path in _OPEN:
        return
    operation["security"] = [{"key": []}]
    content = {PROBLEM_TYPE: {"schema": {"$ref": _REF.format(model="ProblemDetails")}}}
    for status, description in _ERRORS.items():
        if changes or status not in _OF_CHANGES:
            answers.setdefault(status, {"description": description, "content": content})


_PARAMETERS: Final = {
    "limit": "How many rows at most.",
    "tenant_id": "Whose; a key of one tenant has no other.",
    "tenantId": "Whose; a key of one tenant has no other.",
    "order": "Dearest first or last; with buckets: by time.",
    "granularity": "Buckets of local time; those without a call come as zeros. Without it there is one row a group.",
    "group_by": "Dimensions, with commas between them.",
    "measures": "Figures, with commas between them.",
    "order_by": "One of what is asked for, or `bucket`.",
    "from": "The beginning, included: an instant in RFC 3339 or a local date. 30 days by default.",
    "to": "The end, excluded: an instant in RFC 3339 or a local date.",
    "start_date": "The first local day, or an instant.",
    "end_date": "The last local day, included; an instant is excluded.",
    "startDate": "The first local day, or an instant.",
    "endDate": "The last local day, included; an instant is excluded.",
    "tz": "The zone of days, an IANA name; the tenant's by default, else UTC.",
    "period": "The last 7 or 30 local days, or everything.",
    "provider": "Only of this provider.",
    "model": "Only of this model.",
    "userId": "Only of this user.",
    "agentId": "Only of this agent.",
    "agent_id": "Of this agent.",
    "user_id": "Of this user.",
    "feature": "A feature's name.",
    "estimated_cost_usd": "What the call will cost, about.",
    "month": "A calendar month, YYYY-MM.",
    "format": "How it is told.",
    "sortBy": "What rows are in the order of.",
    "sortOrder": "Names rise and figures fall by default.",
    "minCostCents": "Leaves out who spent less.",
    "groupBy": "The width of a bucket.",
    "days": "So many days, today among them.",
    "request_id": "A request, or the event id of a call that is its own.",
    "run_id": "A run.",
    "budget_id": "A budget.",
    "rule_id": "An alert rule.",
    "key_id": "A key, not its secret.",
    "override_id": "An override of a price.",
}


def _describe(parameter: dict[str, Any]) -> None:
    """Left out is not null in a URL; every parameter says what it means."""
    schema = parameter["schema"]
    given = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if len(given) == 1:
        parameter["schema"] = schema = given[0]
    name = str(parameter["name"])
    told = parameter.get("description") or schema.pop("description", None) or _PARAMETERS.get(name)
    if told is None and name.startswith("filter["):
        told = "Only rows with this value; several are alternatives."
    if told is not None:
        parameter["description"] = told
