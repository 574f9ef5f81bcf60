"""One flush, one transaction; each event once; the same numbers at every level on both stores."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, timedelta
from decimal import Decimal

import pytest

from services.contracts.errors import Crash
from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.processor.batch import Decoded
from services.processor.ledger import Stream
from services.processor.prepare import Flush, prepare
from services.processor.refresher import Refresher
from services.processor.screen import Screen
from services.processor.store import Applied, Store
from tests.contract.storage.harness import LEVELS, PICO, Harness
from tests.ledger import Books


def test_every_level_equals_plain_arithmetic_before_and_after_refresh(
    harness: Harness, own: Callable[..., Books]
) -> None:
    producer = own(span=timedelta(days=3))
    for batch in producer.batches(3000):
        assert harness.apply(harness.message(batch, producer.now)).duplicate == 0
    wanted = dict.fromkeys((*LEVELS, "raw"), producer.cost_usd)
    harness.refresh(producer.now)
    assert harness.costs_by_level(producer.tenants) == wanted
    late = usage_pb2.UsageBatch(
        events=[producer.event(producer.tenants[0], producer.now - timedelta(days=2)) for _ in range(7)]
    )
    harness.apply(harness.message(late, producer.now))
    harness.refresh(producer.now)
    assert harness.costs_by_level(producer.tenants) == dict.fromkeys((*LEVELS, "raw"), producer.cost_usd)
    assert harness.one("SELECT count(*) FROM dirty_bucket") == (0,)


def test_late_events_into_a_closed_bucket_mark_it_until_it_is_rebuilt(
    harness: Harness, own: Callable[..., Books]
) -> None:
    producer = own()
    harness.refresh(producer.now)
    at = producer.now - timedelta(days=1)
    harness.apply(harness.message(usage_pb2.UsageBatch(events=[producer.event(producer.tenants[0], at)]), producer.now))
    marked = harness.one("SELECT min(bucket), count(*) FROM dirty_bucket")
    assert marked == (at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0), 1)
    harness.refresh(producer.now)
    assert harness.one("SELECT count(*) FROM dirty_bucket") == (0,)
    assert set(harness.costs_by_level(producer.tenants).values()) == {producer.cost_usd}


def test_while_a_backlog_is_worked_off_old_buckets_are_rebuilt_seldom_but_are(
    harness: Harness, own: Callable[..., Books]
) -> None:
    producer = own()
    refresher = Refresher(harness.dsn, close_after_seconds=120, behind=lambda: True)
    at = producer.now - timedelta(days=1)

    def late_and_refreshed(after_seconds: int) -> int:
        event = producer.event(producer.tenants[0], at)
        harness.apply(harness.message(usage_pb2.UsageBatch(events=[event]), producer.now))
        return refresher.run_once(producer.now + timedelta(seconds=after_seconds))

    assert [late_and_refreshed(seconds) for seconds in (0, 2, 19, 20, 21)][1:] == [0, 0, 1, 0]
    refresher.close()
    assert set(harness.costs_by_level(producer.tenants).values()) == {producer.cost_usd}


def test_what_all_events_of_a_flush_leave_out_is_stored_as_what_it_is(
    harness: Harness, own: Callable[..., Books]
) -> None:
    producer = own()
    plain, rich = (producer.event(producer.tenants[0]) for _ in range(2))
    rich.retry_count, rich.streaming, rich.error_type = 2, True, "Timeout"
    rich.prompt_template_id, rich.metadata["team"] = "greeting", "blue"
    columns = "retry_count, streaming, error_type, prompt_template_id, metadata, input_audio, superseded"
    number = harness.tenants.numbers([producer.tenants[0]])[producer.tenants[0]]

    def stored(event: usage_pb2.UsageEvent) -> tuple[object, ...]:
        query = f"SELECT {columns} FROM usage_event WHERE tenant_no = %s AND event_id = %s"
        return harness.one(query, number, event.event_id)

    harness.apply(harness.message(usage_pb2.UsageBatch(events=[plain]), producer.now))
    assert stored(plain) == (0, False, "", "", None, 0, False)
    beside = producer.event(producer.tenants[0])
    harness.apply(harness.message(usage_pb2.UsageBatch(events=[rich, beside]), producer.now))
    assert stored(rich) == (2, True, "Timeout", "greeting", '{"team": "blue"}', 0, False)
    assert stored(beside) == stored(plain)


def test_the_same_messages_again_change_nothing(harness: Harness, own: Callable[..., Books]) -> None:
    producer = own()
    message = harness.message(next(producer.batches(200)), producer.now)
    assert harness.apply(message).counted == 200
    assert harness.apply(message) == Applied(0, 0, 0, 0)


def test_an_event_sent_again_counts_once_whatever_partition_and_batch(
    harness: Harness, own: Callable[..., Books]
) -> None:
    producer = own()
    batch = next(producer.batches(200))
    harness.apply(harness.message(batch, producer.now))
    again = harness.apply(harness.message(batch, producer.now + timedelta(days=1), partition=1))
    assert again == Applied(counted=0, duplicate=200)
    mixed = usage_pb2.UsageBatch(events=[*batch.events[:3], producer.event(producer.tenants[0])])
    assert harness.apply(harness.message(mixed, producer.now)) == Applied(counted=1, duplicate=3)
    assert set(harness.costs_by_level(producer.tenants).values()) == {producer.cost_usd}
    assert harness.one(
        "SELECT sum(counted), sum(duplicate) FROM ledger WHERE topic_id = %s", harness.stream.topic_id
    ) == (201, 203)


def test_the_same_id_of_two_tenants_counts_for_both_and_is_remembered_over_a_restart(
    harness: Harness, own: Callable[..., Books]
) -> None:
    producer = own()
    mine = producer.event(producer.tenants[0])
    theirs = usage_pb2.UsageEvent()
    theirs.CopyFrom(mine)
    theirs.tenant_id = producer.tenants[1]
    batch = usage_pb2.UsageBatch(events=[mine, theirs, mine])
    assert harness.apply(harness.message(batch, producer.now)) == Applied(counted=2, duplicate=1)
    successor = harness.new_store()
    successor.claim({0, 1})
    again = harness.message(batch, producer.now + timedelta(days=1), partition=1)
    assert harness.apply(again, store=successor) == Applied(duplicate=3)
    successor.close()
    assert set(harness.costs_by_level(producer.tenants).values()) == {2 * producer.cost_usd}


def test_the_same_id_with_another_time_or_content_is_a_conflict_and_the_first_stays(
    harness: Harness, own: Callable[..., Books]
) -> None:
    producer = own()
    event = producer.event(producer.tenants[0])
    harness.apply(harness.message(usage_pb2.UsageBatch(events=[event]), producer.now))
    moved = usage_pb2.UsageEvent()
    moved.CopyFrom(event)
    moved.occurred_at.seconds -= 86_400
    assert harness.apply(harness.message(usage_pb2.UsageBatch(events=[moved]), producer.now)).dead == 1
    assert [dead.reason for dead in harness.dead] == ["conflict"]
    assert set(harness.costs_by_level(producer.tenants).values()) == {producer.cost_usd}


def test_events_outside_the_window_are_kept_apart_with_their_bytes(harness: Harness, own: Callable[..., Books]) -> None:
    producer = own()
    inside = producer.event(producer.tenants[0], producer.now - timedelta(days=34, hours=23))
    outside = own().event(producer.tenants[0], producer.now - timedelta(days=35, seconds=1))
    ahead = own().event(producer.tenants[1], producer.now + timedelta(minutes=5, seconds=1))
    ahead.event_id = "ahead"
    applied = harness.apply(harness.message(usage_pb2.UsageBatch(events=[inside, outside, ahead]), producer.now))
    assert applied == Applied(counted=1, quarantined=2)
    kept = harness.one(
        "SELECT payload FROM quarantined_event WHERE event_id = 'ahead' AND tenant_id = %s", producer.tenants[1]
    )
    assert kept == (ahead.SerializeToString(deterministic=True),)
    assert set(harness.costs_by_level(producer.tenants).values()) == {producer.cost_usd}


def test_an_unpriced_event_is_counted_and_not_zero(harness: Harness, own: Callable[..., Books]) -> None:
    producer = own()
    event = producer.event(producer.tenants[0])
    unknown = usage_pb2.UsageEvent()
    unknown.CopyFrom(event)
    unknown.event_id, unknown.model = "unknown", "no-such-model"
    harness.apply(harness.message(usage_pb2.UsageBatch(events=[event, unknown]), producer.now))
    number = harness.tenants.numbers([producer.tenants[0]])[producer.tenants[0]]
    assert harness.one("SELECT sum(calls), sum(unpriced_events) FROM usage_minute WHERE tenant_no = %s", number) == (
        2,
        1,
    )
    assert harness.one(
        "SELECT cost_pico_usd FROM usage_event WHERE tenant_no = %s AND event_id = 'unknown'", number
    ) == (None,)


def test_a_worker_that_lost_its_partition_writes_nothing(harness: Harness, own: Callable[..., Books]) -> None:
    producer = own()
    successor = harness.new_store()
    assert successor.claim({0, 1}) == {0: 0, 1: 0}
    with pytest.raises(Crash, match="taken over"):
        harness.apply(harness.message(next(producer.batches(10)), producer.now))
    assert harness.costs_by_level(producer.tenants)["raw"] == 0
    successor.close()


def test_missing_messages_crash_instead_of_being_skipped(harness: Harness, own: Callable[..., Books]) -> None:
    producer = own()
    harness.offsets[0] = 3
    with pytest.raises(Crash, match="3 messages of partition 0 are missing"):
        harness.apply(harness.message(next(producer.batches(10)), producer.now))


def test_offsets_at_which_the_log_has_nothing_are_passed_and_written_down(
    harness: Harness, own: Callable[..., Books]
) -> None:
    producer = own()
    store = Store(harness.dsn, harness.stream, harness.dead.extend, first_readable=lambda _, offset: offset + 2)
    store.claim({0, 1})
    harness.offsets[0] = 2
    first = harness.message(next(producer.batches(10)), producer.now)
    harness.offsets[0] = 5
    second = harness.message(next(producer.batches(10)), producer.now)
    assert harness.apply(first, second, store=store).counted == 20
    assert harness.apply(first, second, store=store) == Applied()
    gaps = "SELECT array_agg((first_offset, next_offset)::text ORDER BY 1) FROM ledger_gap WHERE topic_id = %s"
    assert harness.one(gaps, harness.stream.topic_id) == (["(0,2)", "(3,5)"],)
    store.close()


def test_a_recreated_topic_is_refused_until_adopted(harness: Harness) -> None:
    recreated = Store(harness.dsn, Stream("cluster", uuid.uuid4().hex, harness.stream.topic), harness.dead.extend)
    with pytest.raises(Crash, match="an operator must adopt it"):
        recreated.claim({0})
    recreated.close()


def test_a_connection_lost_in_mid_work_is_opened_again_and_the_flush_repeated(
    harness: Harness, own: Callable[..., Books]
) -> None:
    producer = own()
    harness.apply(harness.message(next(producer.batches(10)), producer.now))
    pid = harness.store.connection().info.backend_pid
    harness.one("SELECT pg_terminate_backend(%s)", pid)
    harness.apply(harness.message(next(producer.batches(10)), producer.now))
    assert set(harness.costs_by_level(producer.tenants).values()) == {producer.cost_usd}


def test_runs_hold_their_calls_their_span_and_the_agent_of_their_first_call(
    harness: Harness, own: Callable[..., Books]
) -> None:
    producer = own()
    tenant = producer.tenants[0]
    second, first = (producer.event(tenant, producer.now - timedelta(minutes=m)) for m in (1, 9))
    second.run_id = first.run_id = "r"
    second.section_path, first.section_path = "agent:cassie", "agent:dexter/tool:x"
    harness.apply(harness.message(usage_pb2.UsageBatch(events=[second]), producer.now))
    harness.apply(harness.message(usage_pb2.UsageBatch(events=[first]), producer.now, partition=1))
    number = harness.tenants.numbers([tenant])[tenant]
    row = harness.one(
        "SELECT agent_id, started_at, ended_at, calls, billed_pico_usd FROM run WHERE tenant_no = %s", number
    )
    assert row[:4] == ("dexter", first.occurred_at.ToDatetime(UTC), second.occurred_at.ToDatetime(UTC), 2)
    assert Decimal(str(row[4])) / PICO == producer.cost_usd


def test_once_a_duplicate_was_met_later_ones_are_left_out_before_they_are_stored(
    harness: Harness, own: Callable[..., Books]
) -> None:
    producer, screen = own(), Screen(harness.dsn, lambda: harness.store.wary)
    batches = list(producer.batches(400, size=100))

    def flush(batch: usage_pb2.UsageBatch, before: Decoded | None = None) -> Flush:
        message = harness.message(batch, producer.now)
        return prepare(
            [message],
            harness.book,
            harness.tenants.numbers,
            lambda decoded: screen.leave_out(decoded, harness.tenants.numbers, [before] if before else []),
        )

    first = flush(batches[0])
    assert not first.screened
    harness.store.apply(first)
    assert harness.store.apply(flush(batches[0])) == Applied(duplicate=100)
    assert harness.store.wary
    conflicting = usage_pb2.UsageEvent()
    conflicting.CopyFrom(batches[0].events[1])
    conflicting.latency_ms += 1
    mixed = flush(usage_pb2.UsageBatch(events=[batches[0].events[0], conflicting, *batches[1].events]))
    assert mixed.screened
    assert mixed.count == 100
    # What is under way is known too, though the database does not show it yet.
    beside = flush(usage_pb2.UsageBatch(events=[*batches[1].events[:7], *batches[2].events]), before=mixed.decoded)
    assert beside.count == 100
    # Another worker was faster: the key says so, whatever was seen before.
    overtaken = flush(usage_pb2.UsageBatch(events=batches[3].events))
    assert harness.store.apply(mixed) == Applied(counted=100, duplicate=1, dead=1)
    assert harness.store.apply(beside) == Applied(counted=100, duplicate=7)
    other = harness.new_store()
    other.claim({1})
    harness.apply(harness.message(usage_pb2.UsageBatch(events=batches[3].events[:5]), producer.now, 1), store=other)
    other.close()
    assert harness.store.apply(overtaken) == Applied(counted=95, duplicate=5)
    assert [dead.reason for dead in harness.dead] == ["conflict"]
    assert set(harness.costs_by_level(producer.tenants).values()) == {producer.cost_usd}
    screen.close()
