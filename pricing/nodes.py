"""Reads YAML nodes with their lines, collecting every complaint instead of stopping at the first."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

_LISTED_MAX: Final = 12
_STRING: Final = "tag:yaml.org,2002:str"
_INTEGER: Final = "tag:yaml.org,2002:int"
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d))?", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong with the book: where, at which key, and what."""

    line: int
    key: str
    message: str


@dataclass(slots=True)
class NodeReader:
    """Typed access to YAML nodes. A value that isn't what it should be is noted in `problems` and read as None."""

    problems: list[Problem] = field(default_factory=list)
    has_lines: bool = True
    """Whether the lines of nodes mean something to who reads the complaints."""

    def complain(self, node: Node, key: str, message: str) -> None:
        """Note that something is wrong at this node."""
        self.problems.append(Problem(node.start_mark.line + 1 if self.has_lines else 0, key, message))

    def mapping(self, node: Node, key: str) -> dict[str, Node]:
        """The mapping's values by key, each key once."""
        if not isinstance(node, MappingNode):
            self.complain(node, key, "must be a mapping")
            return {}
        values: dict[str, Node] = {}
        for name_node, value in node.value:
            name = name_node.value if isinstance(name_node, ScalarNode) else ""
            if not name:
                self.complain(name_node, key, "a key must be a non-empty name")
            elif name in values:
                self.complain(name_node, f"{key}.{name}", "is given twice")
            else:
                values[name] = value
        return values

    def record(self, node: Node, key: str, required: Iterable[str], optional: Iterable[str] = ()) -> dict[str, Node]:
        """A mapping with a fixed set of keys; a missing or unknown one is noted."""
        values, required = self.mapping(node, key), tuple(required)
        known = {*required, *optional}
        for name in required:
            if name not in values:
                self.complain(node, f"{key}.{name}", "is missing")
        for name in [name for name in values if name not in known]:
            self.complain(values.pop(name), f"{key}.{name}", f"unknown key; known are {', '.join(sorted(known))}")
        return values

    def items(self, node: Node, key: str) -> list[Node]:
        """The elements of a non-empty list."""
        if not isinstance(node, SequenceNode) or not node.value:
            self.complain(node, key, "must be a list with something in it")
            return []
        return list(node.value)

    def text(self, node: Node, key: str) -> str | None:
        """Non-empty text, whatever YAML would take it for (a date or a number is text here)."""
        if not isinstance(node, ScalarNode) or not node.value.strip():
            self.complain(node, key, "must be a non-empty text")
            return None
        return str(node.value)

    def one_of(self, node: Node, key: str, allowed: Iterable[str]) -> str | None:
        """One of the allowed words."""
        value, allowed = self.text(node, key), tuple(allowed)
        if value is not None and value not in allowed:
            self.complain(node, key, f"{value!r} is not one of {_listing(value, allowed)}")
            return None
        return value

    def quoted(self, node: Node, key: str) -> str | None:
        """A string that is a string in YAML too: an unquoted 0.1 would pass through a binary float."""
        if isinstance(node, ScalarNode) and node.tag != _STRING:
            self.complain(node, key, f"must be a quoted decimal string, not {node.value or 'nothing'}")
            return None
        return self.text(node, key)

    def positive_integer(self, node: Node, key: str) -> int | None:
        """A plain whole number above zero."""
        if not isinstance(node, ScalarNode) or node.tag != _INTEGER or not re.fullmatch(r"[1-9]\d{0,17}", node.value):
            self.complain(node, key, "must be a whole number above zero")
            return None
        return int(node.value)

    def instant_us(self, node: Node, key: str) -> int | None:
        """Epoch microseconds of a date (its midnight UTC) or of an RFC 3339 instant."""
        value = self.text(node, key)
        if value is None:
            return None
        try:
            moment = parse_moment(value)
        except ValueError as error:
            self.complain(node, key, str(error))
            return None
        return (moment - _EPOCH) // timedelta(microseconds=1)


def parse_moment(text: str) -> datetime:
    """A date (its midnight UTC) or an RFC 3339 instant to the second, of 2010 to 2100; ValueError for anything else."""
    try:
        moment = datetime.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        moment = None
    if moment is None or not 2010 <= moment.year <= 2100:
        raise ValueError(f"{text!r} is not a date (2026-01-31) or an instant (2026-01-31T16:00:00Z) of this century")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _listing(value: str, allowed: Sequence[str]) -> str:
    """All of them, or of many those that are spelled nearly so."""
    if len(allowed) <= _LISTED_MAX:
        return ", ".join(allowed)
    near = difflib.get_close_matches(value, allowed, n=3)
    return f"{len(allowed)} that are known" + (f"; did you mean {' or '.join(near)}?" if near else "")


def first_of(values: Mapping[str, Node], *names: str) -> Node | None:
    """The first of the names that is there."""
    return next((values[name] for name in names if name in values), None)
