"""JSON read strictly: names given twice are noticed, decimals stay exact, errors say where."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class DuplicateName:
    """Stands where an object gave `name` twice, so that one bad event does not spoil its neighbours."""

    name: str


class MalformedJson(ValueError):
    """Text that is no JSON; says where."""


def parse_json(body: bytes) -> Any:  # noqa: ANN401
    """`body` (UTF-8) as dicts, lists, str, int, bool, None, Decimal for every other number; raises MalformedJson."""
    try:
        return _DECODER.decode(body.decode())
    except UnicodeDecodeError as error:
        raise MalformedJson(f"not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise MalformedJson(
            f"{error.msg} at line {error.lineno} column {error.colno} (character {error.pos})"
        ) from None
    except RecursionError:
        raise MalformedJson("nested too deeply") from None
    except ValueError:
        raise MalformedJson("a number has too many digits") from None


def json_kind(value: object) -> str:
    """What `value` is, in a reason: never its text, which may be anything."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return "text"
        case int() | Decimal():
            return "the number " + str(value)[:24] if isinstance(value, Decimal) else "a number"
        case list():
            return "an array"
        case _:
            return "an object"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | DuplicateName:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            return DuplicateName(name)
        seen.add(name)
    raise AssertionError("unreachable: fewer members than pairs means that one came twice")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object, parse_float=Decimal, parse_constant=Decimal)
