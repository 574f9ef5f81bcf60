"""Hours of the week in the price book: `days`, `from` and `to` as ranges of minutes since Monday 00:00 UTC."""

import re
from collections.abc import Mapping
from typing import Final

from yaml.nodes import Node, SequenceNode

from pricing.entries import MINUTES_OF_WEEK
from pricing.nodes import NodeReader

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES: Final = 24 * 60
_CLOCK: Final = re.compile(r"(?P<hour>[01]\d|2[0-4]):(?P<minute>[0-5]\d)", re.ASCII)


def read_week_minutes(reader: NodeReader, values: Mapping[str, Node], key: str) -> tuple[tuple[int, int], ...]:
    """The window's ranges. One that ends at or before its beginning runs into the next day; `days` are those it
    begins on, all of them if it doesn't say.
    """
    begin = _read_clock(reader, values["from"], f"{key}.from") if "from" in values else None
    end = _read_clock(reader, values["to"], f"{key}.to") if "to" in values else None
    days = _read_days(reader, values["days"], f"{key}.days") if "days" in values else DAYS
    if begin is None or end is None:
        return ()
    length = end - begin if end > begin else end - begin + _DAY_MINUTES
    ranges: list[tuple[int, int]] = []
    for day in days:
        first = DAYS.index(day) * _DAY_MINUTES + begin
        last = first + length
        ranges.append((first % MINUTES_OF_WEEK, min(last, MINUTES_OF_WEEK)))
        if last > MINUTES_OF_WEEK:
            ranges.append((0, last - MINUTES_OF_WEEK))
    return tuple(ranges)


def _read_days(reader: NodeReader, node: Node, key: str) -> tuple[str, ...]:
    if not isinstance(node, SequenceNode):
        reader.complain(node, key, f"must be a list of {', '.join(DAYS)}")
        return ()
    days = [reader.one_of(day, key, DAYS) for day in reader.items(node, key)]
    return tuple(dict.fromkeys(day for day in days if day))


def _read_clock(reader: NodeReader, node: Node, key: str) -> int | None:
    """Minutes since midnight of "16:30"; "24:00" is the end of the day."""
    text = reader.quoted(node, key)
    match = _CLOCK.fullmatch(text) if text is not None else None
    minutes = int(match["hour"]) * 60 + int(match["minute"]) if match else None
    if text is not None and (minutes is None or minutes > _DAY_MINUTES):
        reader.complain(node, key, f"{text!r} is not a time of day in UTC (16:30)")
        return None
    return minutes
