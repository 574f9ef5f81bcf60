"""The order of a flush's messages. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from services.processor.batch import Message


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


def _sorted(messages: Sequence[Message]) -> list[Message]:
    by_place = {(message.partition, message.offset): message for message in messages}
    return [by_place[place] for place in sorted(by_place)]
