"""The order of a flush's messages, and how many make one. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from typing import TypeVar

from services.processor.batch import Message

T = TypeVar("T")


def in_order(messages: Sequence[Message]) -> Sequence[Message]:
    """The messages with each partition's offsets ascending and none twice; the same object in the usual case.

    After a rebalance the stream is read again from the ledger while what was read before may still wait in a buffer.
    """
    last: dict[int, int] = {}
    for message in messages:
        if message.offset <= last.get(message.partition, -1):
            return _sorted(messages)
        last[message.partition] = message.offset
    return messages


def is_much(values: Iterable[bytes], bytes_min: int) -> bool:
    """Whether messages of these values are worth being stored in several flushes at a time."""
    return sum(map(len, values)) >= bytes_min


def in_lanes(messages: Sequence[Message], lane_of: Callable[[int], int], bytes_min: int) -> list[Sequence[Message]]:
    """The messages by the lane of their partition, each lane's in order; all as one where they are fewer bytes than
    `bytes_min`: little is stored sooner at once, as much of what a flush costs is the same however small it is."""
    if not is_much((message.value for message in messages), bytes_min):
        return [messages]
    by_lane: dict[int, list[Message]] = {}
    for message in messages:
        by_lane.setdefault(lane_of(message.partition), []).append(message)
    return list(by_lane.values())


def in_turn(lanes: Iterable[Sequence[T]]) -> list[T]:
    """The first of each, then the second of each, and so on."""
    rounds = zip_longest(*lanes, fillvalue=None)
    return [one for each in rounds for one in each if one is not None]


def in_pieces(messages: Sequence[Message], bytes_max: int) -> list[Sequence[Message]]:
    """The messages in runs of about equal size, in order: as few as hold `bytes_max` bytes each, but for a last message
    that may reach beyond; at least one run.

    Small messages have to share a flush, much of which costs the same however few events it has; large ones fill
    memory.
    """
    total = sum(len(message.value) for message in messages)
    wanted = max(1.0, total / max(1, -(-total // bytes_max)))
    pieces: list[Sequence[Message]] = []
    first, size = 0, 0
    for index, message in enumerate(messages):
        size += len(message.value)
        if size >= wanted and index + 1 < len(messages):
            pieces.append(messages[first : index + 1])
            first, size = index + 1, 0
    return [*pieces, messages[first:]]


def _sorted(messages: Sequence[Message]) -> list[Message]:
    by_place = {(message.partition, message.offset): message for message in messages}
    return [by_place[place] for place in sorted(by_place)]
