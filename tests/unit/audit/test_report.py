"""What an audit says, to people and to programs."""

from __future__ import annotations

from datetime import UTC, datetime

from services.audit.ledger import offsets_within_log, read_equals_outcomes
from services.audit.report import Difference, Identity, PartitionRow, Report, said, to_json
from services.cli.audit import show

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)


def partition(**more: int | None) -> PartitionRow:
    figures: dict[str, int | None] = {
        "next_offset": 10, "end_offset": None, "events_read": 9, "counted": 6, "duplicate": 1, "dead_lettered": 1,
        "quarantined": 1,
    }  # fmt: skip
    return PartitionRow("usage.events.v1", "id", 0, stream_through=AT, **{**figures, **more})  # type: ignore[arg-type]


def report(*identities: Identity) -> Report:
    return Report(identities, (partition(),), (), AT, 2, 40, 0.25)


def test_each_event_read_has_one_of_four_fates() -> None:
    assert read_equals_outcomes([partition()]).holds
    lost = read_equals_outcomes([partition(events_read=10)])
    assert [(one.measure, one.expected, one.found) for one in lost.differences] == [
        ("usage.events.v1/0: events read", 10, 9)
    ]


def test_messages_still_to_be_read_are_said_and_no_difference() -> None:
    behind = offsets_within_log([partition()], {("id", 0): (0, 15)})
    assert behind.holds and behind.totals == {"partitions": 1, "messages_behind": 5}


def test_a_ledger_outside_the_log_is_a_difference() -> None:
    assert not offsets_within_log([partition()], {("id", 0): (0, 9)}).holds
    assert not offsets_within_log([partition()], {("id", 0): (11, 20)}).holds


def test_a_log_end_that_a_worker_wrote_down_may_be_older_than_the_ledger() -> None:
    assert offsets_within_log([partition(end_offset=8)], None).holds


def test_a_difference_that_waits_for_refresh_breaks_nothing() -> None:
    waiting = Difference("usage_hour", AT, "acme", "calls", 2, 1, waiting=True)
    assert report(Identity("raw = usage_hour", (waiting,))).holds
    assert not report(
        Identity("raw = usage_hour", (waiting, Difference("usage_hour", AT, "acme", "calls", 2, 1)))
    ).holds


def test_money_is_said_exactly_in_dollars() -> None:
    assert said("billed_pico_usd", 69_000_000) == "$0.000069"
    assert said("run7: billed_pico_usd", 1) == "$0.000000000001"
    assert said("billed_pico_usd", 2_709_658_561_530_000) == "$2,709.65856153"
    assert said("adjustment_pico_usd", -500_000_000_000) == "-$0.5"
    assert said("calls", 1_234_567) == "1,234,567"


def test_the_text_names_what_differs_and_both_values() -> None:
    lines: list[str] = []
    wrong = Difference("usage_15m", AT, "acme", "billed_pico_usd", 69_000_000, 70_000_000)
    show(report(Identity("raw = usage_15m", (wrong,), {"calls": 8})), lines.append)
    assert lines[0] == "DIFFERS raw = usage_15m   calls 8"
    assert lines[1].strip() == "usage_15m 2026-11-01T12:00+00:00 acme billed_pico_usd: $0.00007, must be $0.000069"
    assert "1 of 1 identities do not hold" in lines[2]


def test_json_has_exact_money_and_the_same_names_as_the_api() -> None:
    wrong = Difference("usage_15m", AT, "acme", "billed_pico_usd", 69_000_000, 70_000_000)
    shown = to_json(report(Identity("raw = usage_15m", (wrong,), {"cost_pico_usd": 70_000_000})))
    identities = shown["identities"]
    assert isinstance(identities, list)
    (identity,) = identities
    assert identity["totals"] == {"cost_usd": "0.00007"}
    assert identity["differences"] == [{
        "level": "usage_15m", "bucket": AT.isoformat(), "tenant_id": "acme", "measure": "billed_usd",
        "expected": "0.000069", "found": "0.00007", "waiting": False,
    }]  # fmt: skip
