"""What an operator is offered when the ledger and the log don't fit."""

from __future__ import annotations

from services.cli.adopt import Log, plan

LOG = Log("cluster", "topic", {0: (10, 50), 1: (0, 5)})


def test_a_ledger_inside_its_log_needs_nothing() -> None:
    assert plan(LOG, {0: 10, 1: 5}, follows_another=False, start="beginning") == []


def test_partitions_that_were_added_begin_by_themselves() -> None:
    assert plan(LOG, {0: 10}, follows_another=True, start="beginning") == []


def test_another_topic_is_read_from_its_beginning_and_what_that_lacks_is_named() -> None:
    first, second = plan(LOG, {}, follows_another=True, start="beginning")
    assert (first.next_offset, first.lost) == (10, (0, 10))
    assert (second.next_offset, second.lost) == (0, None)


def test_a_ledger_beyond_the_end_reads_all_there_is_again_and_loses_nothing() -> None:
    (only,) = plan(LOG, {0: 99, 1: 5}, follows_another=False, start="beginning")
    assert (only.partition, only.next_offset, only.lost) == (0, 10, None)
    (only,) = plan(LOG, {0: 99, 1: 5}, follows_another=False, start="end")
    assert (only.next_offset, only.lost) == (50, None)


def test_messages_deleted_before_they_were_counted_are_given_up_by_name() -> None:
    (only,) = plan(LOG, {0: 4, 1: 5}, follows_another=False, start="end")
    assert (only.next_offset, only.lost) == (10, (4, 10))
