"""How the messages that were taken become flushes."""

from __future__ import annotations

import random

from services.processor.batch import Message
from services.processor.sequence import in_lanes, in_pieces, in_turn


def _messages(sizes: list[int]) -> list[Message]:
    return [Message(0, offset, 0, b"x" * size) for offset, size in enumerate(sizes)]


def test_small_messages_share_a_flush() -> None:
    messages = _messages([5_000] * 200)
    assert in_pieces(messages, 8_000_000) == [messages]


def test_large_ones_are_shared_out_evenly() -> None:
    pieces = in_pieces(_messages([100] * 200), 8_000)
    assert [len(piece) for piece in pieces] == [67, 67, 66]


def test_one_that_is_larger_than_all_a_flush_should_hold_is_a_flush() -> None:
    messages = _messages([50])
    assert in_pieces(messages, 8) == [messages]
    assert in_pieces(_messages([]), 8) == [[]]
    empty = _messages([0, 0])
    assert in_pieces(empty, 8) == [empty]


def test_whatever_the_sizes_nothing_is_left_out_or_moved_and_a_flush_holds_one_message_too_many_at_most() -> None:
    draw = random.Random(5)
    for _ in range(300):
        messages = _messages([draw.randrange(0, 400) for _ in range(draw.randrange(1, 60))])
        bytes_max = draw.randrange(1, 3_000)
        pieces = in_pieces(messages, bytes_max)
        assert [message for piece in pieces for message in piece] == messages
        assert all(pieces)
        assert all(sum(len(message.value) for message in piece[:-1]) < bytes_max for piece in pieces)
        total = sum(len(message.value) for message in messages)
        assert len(pieces) <= total // bytes_max + 1


def test_what_is_little_stays_together_and_what_is_much_goes_by_its_partitions_lane_in_order() -> None:
    messages = [Message(number % 3, number, 0, b"x" * 10) for number in range(12)]
    assert in_lanes(messages, lambda partition: partition % 2, 121) == [messages]
    even, odd = in_lanes(messages, lambda partition: partition % 2, 120)
    assert even == [message for message in messages if message.partition in (0, 2)]
    assert odd == [message for message in messages if message.partition == 1]
    only = [message for message in messages if message.partition == 1]
    assert in_lanes(only, lambda partition: partition % 2, 0) == [only]


def test_lanes_take_turns_until_each_has_given_all() -> None:
    assert in_turn([["a1", "a2", "a3"], ["b1"], ["c1", "c2"]]) == ["a1", "b1", "c1", "a2", "c2", "a3"]
