"""Looks at an entry beside the one before it: what a slip of the pen makes, and what needs a word if it is meant."""

from fractions import Fraction
from typing import Final

from yaml.nodes import MappingNode, Node

from pricing.entries import END_OF_TIME_US, Entry, Plan
from pricing.nodes import NodeReader
from pricing.usage import USAGE_CLASSES

_JUMP: Final = 10


def compare_neighbours(reader: NodeReader, key: str, before: tuple[Entry, Node], after: tuple[Entry, Node]) -> None:
    """Complains of an overlap, and unless the entry says why of a gap, a class that is gone, a price ten times off."""
    (earlier, earlier_node), (later, later_node) = before, after
    until = earlier.effective_until_us
    if later.effective_from_us == earlier.effective_from_us or END_OF_TIME_US > until > later.effective_from_us:
        reader.complain(earlier_node, key, "overlaps the entry after it")
    elif until < later.effective_from_us and not _says(earlier_node, "gap"):
        reader.complain(earlier_node, f"{key}.gap", "no price until the next entry: say why, or move effective_until")
    for name, old, new in zip(USAGE_CLASSES, _prices(earlier), _prices(later), strict=True):
        if old is not None and new is None and not _says(later_node, "dropped"):
            reader.complain(
                later_node, f"{key}.{name}", "had a price in the entry before: give one, or say why in dropped"
            )
        elif old and new and not Fraction(1, _JUMP) < new / old < _JUMP and not _says(later_node, "jump"):
            reader.complain(
                later_node, f"{key}.{name}", f"is {_JUMP} times off the entry before: mend it, or say why in jump"
            )


def _prices(entry: Entry) -> tuple[Fraction | None, ...]:
    plan = entry.plan("") or Plan((), {})
    multiplier = Fraction(plan.numerator, plan.denominator)
    return tuple(None if price is None else price * multiplier for price in plan.bands[0].prices)


def _says(node: Node, excuse: str) -> bool:
    return isinstance(node, MappingNode) and any(name.value == excuse for name, _ in node.value)
