"""Holes in the offsets: never skipped on the word of one reader. Pure; `first_readable` asks the broker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.contracts.errors import Crash
from services.processor.batch import Span

# (partition, offset) → the first offset at or after it at which the log has a message, or the log's end.
FirstReadable = Callable[[int, int], int]


@dataclass(frozen=True, slots=True)
class Gap:
    """Offsets [first, next) of a partition at which the log holds no message."""

    partition: int
    first_offset: int
    next_offset: int


def nothing_confirmed(_partition: int, offset: int) -> int:
    """For streams that can't be read a second time: every hole counts as messages that were missed."""
    return offset


def holes(spans: Mapping[int, Span], next_offsets: Mapping[int, int]) -> list[Gap]:
    """What lies between the ledger and a flush, and between its messages, in order."""
    found = []
    for partition, span in sorted(spans.items()):
        if span.first_offset > next_offsets[partition]:
            found.append(Gap(partition, next_offsets[partition], span.first_offset))
        found += [Gap(partition, first, following) for first, following in span.holes]
    return found


def confirm(gaps: list[Gap], first_readable: FirstReadable) -> list[Gap]:
    """The same gaps, each read again directly and found empty.

    Crashes when one is not: messages were missed by this process, and a new one reads them. Raises what
    `first_readable` raises, also Crash when a gap is where retention has deleted.
    """
    for gap in gaps:
        found = first_readable(gap.partition, gap.first_offset)
        if found < gap.next_offset:
            raise Crash(
                f"{gap.next_offset - found} messages of partition {gap.partition} are missing before "
                f"{gap.next_offset}: reading again"
            )
    return gaps
