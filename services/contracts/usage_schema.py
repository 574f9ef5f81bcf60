"""The JSON Schema of a usage event, made from the proto's descriptor and the limits: it can't drift."""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor

from pricing.usage import USAGE_CLASSES
from services.contracts.admission import REPORTED_COST_USD, REQUIRED_TEXTS, TEXT_LIMITS
from services.contracts.json_event import SIMPLE_USAGE, VENDOR_USAGE, enum_names
from services.contracts.limits import (
    ATTEMPT_MAX,
    COUNT_MAX,
    LATENCY_MS_MAX,
    METADATA_ENTRIES_MAX,
    METADATA_KEY_MAX,
    METADATA_VALUE_MAX,
    TEXT_MAX,
    UNITS_ENTRIES_MAX,
)
from services.contracts.normalise import SHAPES
from services.contracts.stubs.spendstream.v1 import usage_pb2

SCHEMA_ID: Final = "https://spendstream.dev/schema/usage-event.v1.json"

Schema = dict[str, Any]

_COUNT: Final[Schema] = {"type": "integer", "minimum": 0, "maximum": COUNT_MAX}
_SPECIAL: Final[dict[str, Schema]] = {
    "occurred_at": {
        "description": "RFC 3339 with a zone, or epoch milliseconds.",
        "oneOf": [{"type": "string", "format": "date-time"}, {"type": "integer"}],
    },
    "attempt": {"type": "integer", "minimum": 0, "maximum": ATTEMPT_MAX, "description": "From 1; 0 means not said."},
    "retry_count": {"type": "integer", "minimum": 0, "maximum": ATTEMPT_MAX},
    "latency_ms": {"type": "integer", "minimum": 0, "maximum": LATENCY_MS_MAX},
    "reported_cost_usd": {
        "description": "What the caller believes; kept beside ours, never instead.",
        "oneOf": [
            {"type": "string", "pattern": f"^{REPORTED_COST_USD.pattern}$"},
            {"type": "number", "minimum": 0},
        ],
    },
    "metadata": {
        "type": "object",
        "maxProperties": METADATA_ENTRIES_MAX,
        "propertyNames": {"minLength": 1, "maxLength": METADATA_KEY_MAX},
        "additionalProperties": {"type": "string", "maxLength": METADATA_VALUE_MAX},
    },
}
_VENDOR: Final[dict[str, Schema]] = {
    "vendor_usage": {
        "type": "object",
        "minProperties": 1,
        "description": "The usage object of the vendor's answer, whole; instead of usage.",
    },
    "vendor_usage_shape": {
        "type": "string",
        "enum": list(SHAPES),
        "description": "Whose object vendor_usage is; told by its keys where left out.",
    },
}


def usage_schema() -> Schema:
    """Draft 2020-12. What it accepts, `json_event` and `admission` accept, but for what a schema can't say (sums)."""
    properties = {field.name: _field(field) for field in usage_pb2.UsageEvent.DESCRIPTOR.fields}
    simple = {name: {**_COUNT, "description": "Simple form, instead of classes in usage."} for name in SIMPLE_USAGE}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "UsageEvent",
        "description": "One attempt at a model. Identity is (tenant_id, event_id).",
        "type": "object",
        "additionalProperties": False,
        "properties": {**properties, **simple, **_VENDOR},
        # tenant_id may be left out where the key belongs to one tenant.
        "required": [name for name in REQUIRED_TEXTS if name != "tenant_id"] + ["occurred_at"],
        "oneOf": [
            {"required": ["usage"], **_none_of(*SIMPLE_USAGE, *VENDOR_USAGE)},
            {
                "anyOf": [{"required": [name]} for name in SIMPLE_USAGE[:2]],
                # Units have no simple form, so they may stand beside it.
                "properties": {"usage": _none_of(*USAGE_CLASSES)},
                **_none_of(*VENDOR_USAGE),
            },
            {"required": ["vendor_usage"], **_none_of("usage", *SIMPLE_USAGE)},
        ],
        "dependentRequired": {"cached_tokens": ["prompt_tokens"], "reasoning_tokens": ["completion_tokens"]},
    }


def _none_of(*names: str) -> Schema:
    return {"not": {"anyOf": [{"required": [name]} for name in names]}}


def _field(field: Any) -> Schema:  # noqa: ANN401 - the descriptor's classes differ by protobuf's implementation
    if field.name in _SPECIAL:
        return _SPECIAL[field.name]
    if field.name == "usage":
        return _usage()
    if field.enum_type is not None:
        names = enum_names([(value.name, value.number) for value in field.enum_type.values])
        return {"type": "string", "enum": list(names.values())}
    if field.type == FieldDescriptor.TYPE_BOOL:
        return {"type": "boolean"}
    assert field.type == FieldDescriptor.TYPE_STRING, f"say in _SPECIAL what {field.name} is in JSON"
    least = {"minLength": 1} if field.name in REQUIRED_TEXTS else {}
    return {"type": "string", **least, "maxLength": TEXT_LIMITS[field.name]}


def _usage() -> Schema:
    counts = {f.name: _COUNT for f in usage_pb2.Usage.DESCRIPTOR.fields if f.name != "units"}
    units = {
        "type": "object",
        "description": "What is not tokens, by name.",
        "minProperties": 1,
        "maxProperties": UNITS_ENTRIES_MAX,
        "propertyNames": {"minLength": 1, "maxLength": TEXT_MAX},
        "additionalProperties": _COUNT,
    }
    return {
        "type": "object",
        "description": "Disjoint counts: no token is in two of them.",
        "additionalProperties": False,
        "minProperties": 1,
        "properties": {**counts, "units": units},
    }
