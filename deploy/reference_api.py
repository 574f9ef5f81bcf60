"""The API reference, as Markdown, from the OpenAPI documents of the services."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]
_METHODS = ("get", "post", "put", "patch", "delete")


def api_lines(title: str, openapi: Json) -> Iterator[str]:
    """A section per path and method, in the document's order, below a heading of the service's own."""
    yield f"## {title}"
    yield ""
    for path, operations in openapi["paths"].items():
        for method in _METHODS:
            if method in operations:
                yield from _operation(method, path, operations[method], openapi)


def _operation(method: str, path: str, operation: Json, openapi: Json) -> Iterator[str]:
    yield f"### {method.upper()} {path}"
    yield ""
    summary = operation.get("summary", "")
    yield f"{summary}." if summary and summary[-1] not in ".?!" else summary
    yield ""
    description = operation.get("description", "").partition("\f")[0].strip()
    if description:
        yield description
        yield ""
    if operation.get("parameters"):
        yield "| parameter | type | |"
        yield "|---|---|---|"
        for parameter in operation["parameters"]:
            schema = parameter["schema"]
            place = "in the path" if parameter["in"] == "path" else ""
            yield _row(parameter["name"], schema, parameter.get("required", False), place, openapi)
        yield ""
    yield from _body(operation.get("requestBody"), openapi)


def _body(body: Json | None, openapi: Json) -> Iterator[str]:
    if body is None:
        return
    for kind, content in body["content"].items():
        schema = _resolved(content["schema"], openapi)
        alternatives = [_resolved(one, openapi) for one in schema.get("oneOf", [schema])]
        with_fields = [one for one in alternatives if one.get("properties")]
        if not with_fields:
            yield f"Body: `{kind}`."
            yield ""
            continue
        many = ", or an array of such objects" if any(one.get("type") == "array" for one in alternatives) else ""
        yield f"Body: `{kind}`, an object{many}:"
        yield ""
        yield "| field | type | |"
        yield "|---|---|---|"
        required = with_fields[0].get("required", ())
        for name, field in with_fields[0]["properties"].items():
            yield _row(name, field, name in required, "", openapi)
        yield ""


def _row(name: str, schema: Json, required: bool, place: str, openapi: Json) -> str:
    notes = [place, "required" if required and not place else "", _said(schema, openapi)]
    return f"| `{name}` | {_type(schema, openapi)} | {'; '.join(note for note in notes if note)} |"


def _resolved(schema: Json, openapi: Json) -> Json:
    """The schema behind a reference; of a choice with null the other one."""
    while "$ref" in schema:
        found: Any = openapi
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    real = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if len(real) == 1:
        return {**{key: value for key, value in schema.items() if key != "anyOf"}, **_resolved(real[0], openapi)}
    return schema


def _type(schema: Json, openapi: Json) -> str:
    schema = _resolved(schema, openapi)
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return ", ".join(f"`{value}`" for value in values if value is not None)
    if "anyOf" in schema or "oneOf" in schema:
        kinds = dict.fromkeys(_type(one, openapi) for one in schema.get("anyOf") or schema.get("oneOf") or ())
        return " or ".join(kinds)
    if schema.get("type") == "array":
        return f"array of {_type(schema['items'], openapi)}" if "items" in schema else "array"
    kind = str(schema.get("type", "any"))
    return f"{kind} ({schema['format']})" if "format" in schema else kind


def _said(schema: Json, openapi: Json) -> str:
    schema = _resolved(schema, openapi)
    said = [schema.get("description", "")]
    if "minimum" in schema or "maximum" in schema:
        said.append(f"{schema.get('minimum', '…')} to {schema.get('maximum', '…')}")
    if schema.get("exclusiveMinimum") is not None:
        said.append(f"more than {schema['exclusiveMinimum']}")
    if schema.get("type") == "string" and "maxLength" in schema:
        said.append(f"at most {schema['maxLength']} characters")
    if schema.get("default") not in (None, [], ""):
        said.append(f"default `{schema['default']}`")
    return "; ".join(" ".join(str(one).split()).rstrip(".") for one in said if one).replace("|", "\\|")
