"""Forms as values: what was typed comes back with the reason beside each wrong field. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

Fields = Mapping[str, str]
"""Name of a field to what was typed, trimmed."""

SCOPE_KINDS: Final = (("", "everything"), ("agent_id", "agent"), ("user_id", "user"), ("feature", "feature"))
_SCOPE_WHERE: Final = {"": "", "agent_id": "agent", "user_id": "user", "feature": "feature"}
_NUMBER_ERRORS: Final = frozenset({"decimal_parsing", "decimal_type", "int_parsing", "int_type", "int_from_float"})
_MISSING: Final = frozenset({"missing", "string_too_short", "too_short"})


@dataclass(frozen=True, slots=True)
class Form:
    """A form to show: where it goes, what stands in its fields, and what is wrong with them."""

    action: str
    title: str
    button: str
    values: Fields
    faults: Mapping[str, str] = field(default_factory=dict)
    is_edit: bool = False


class FormFault(Exception):
    """What was typed can't be taken; `faults` names each wrong field and why."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        super().__init__(", ".join(faults))
        self.faults = dict(faults)


def faults_of(error: ValidationError, name_of: Callable[[str], str]) -> dict[str, str]:
    """The first reason for each field; `name_of` leads from a body's name to the form's."""
    faults: dict[str, str] = {}
    for one in error.errors():
        name = name_of(str(one["loc"][0])) if one["loc"] else ""
        faults.setdefault(name, _reason(one["type"], one["msg"], one.get("input"), one.get("ctx", {})))
    return faults


def _reason(kind: str, message: str, typed: object, limits: Mapping[str, Any]) -> str:
    if kind in _MISSING or (kind in _NUMBER_ERRORS and typed in ("", None)):
        return "is needed"
    if kind in _NUMBER_ERRORS:
        return "must be a whole number" if kind.startswith("int") else "must be a number, like 250 or 12.50"
    if kind == "greater_than":
        return f"must be more than {limits['gt']}"
    if kind == "greater_than_equal":
        return f"must be at least {limits['ge']}"
    if kind == "less_than_equal":
        return f"must be at most {limits['le']:,}"
    if kind == "string_too_long":
        return f"has at most {limits['max_length']} characters"
    return message.removeprefix("Value error, ")


def renamed(complaints: Iterable[tuple[str, str]], name_of: Callable[[str], str]) -> dict[str, str]:
    """What the API complained about, by the names of the form's fields."""
    return {name_of(parameter): detail for parameter, detail in complaints}


def scope_of_fields(fields: Fields) -> dict[str, str]:
    """{"agent_id" | "user_id" | "feature": value}, or empty for everything."""
    kind = fields.get("scope_kind", "")
    return {kind: fields.get("scope_value", "")} if kind else {}


def scope_fields(scope: Mapping[str, str]) -> dict[str, str]:
    """The other way round."""
    kind, value = next(iter(scope.items()), ("", ""))
    return {"scope_kind": kind, "scope_value": value}


def scope_words(scope: Mapping[str, str]) -> str:
    """agent research_assistant; nothing where everything counts."""
    return " and ".join(f"{_SCOPE_WHERE.get(kind, kind)} {value}" for kind, value in scope.items())
