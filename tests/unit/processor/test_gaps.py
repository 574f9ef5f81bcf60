"""Holes in the offsets are found, and passed only when the log was asked again."""

from __future__ import annotations

import pytest

from services.contracts.errors import Crash
from services.processor.batch import Message, Span
from services.processor.gaps import Gap, confirm, holes
from services.processor.sequence import in_order


def message(offset: int, partition: int = 0) -> Message:
    return Message(partition, offset, 1, b"")


def test_holes_lie_between_the_ledger_and_the_flush_and_between_its_messages() -> None:
    spans = {1: Span(5, 9, 1), 0: Span(3, 12, 1, holes=((4, 6), (7, 9)))}
    assert holes(spans, {0: 1, 1: 5}) == [Gap(0, 1, 3), Gap(0, 4, 6), Gap(0, 7, 9)]


def test_a_gap_that_is_read_again_and_empty_is_confirmed() -> None:
    gaps = [Gap(0, 1, 3), Gap(2, 7, 8)]
    assert confirm(gaps, lambda _, offset: offset + 5) == gaps


def test_a_message_found_in_a_gap_was_missed_by_this_process() -> None:
    with pytest.raises(Crash, match="1 messages of partition 0 are missing before 3"):
        confirm([Gap(0, 1, 3)], lambda _, offset: 2)


def test_messages_in_order_are_left_alone() -> None:
    messages = [message(1), message(7, partition=1), message(2), message(8, partition=1)]
    assert in_order(messages) is messages


def test_messages_read_again_after_a_rebalance_are_taken_once_and_in_order() -> None:
    read_twice = [message(5), message(6), message(3), message(4), message(5), message(6), message(7)]
    assert [m.offset for m in in_order(read_twice)] == [3, 4, 5, 6, 7]
