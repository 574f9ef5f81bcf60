from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

import pytest
from spendstream_sdk.records import Event, Record
from spendstream_sdk.scopes import OUTSIDE
from spendstream_sdk.sender import Limits, Sender
from spendstream_sdk.stats import Stats
from spendstream_sdk.transport import Delivered, GiveUp, TooLarge, TryAgain

Step = Delivered | Exception | None


class Door:
    """A transport that answers as it is told to, then accepts everything; keeps what it was sent."""

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.batches: list[list[str]] = []
        self.closed = False
        self.gate = threading.Event()
        self.gate.set()

    def send(self, events: Sequence[Event]) -> Delivered:
        self.gate.wait(10)
        self.batches.append([event["event_id"] for event in events])
        step = self.steps.pop(0) if self.steps else None
        if isinstance(step, Exception):
            raise step
        return step or Delivered(len(events))

    def close(self) -> None:
        self.closed = True

    def abandon(self) -> None:
        self.closed = True


@pytest.fixture
def senders() -> Iterator[list[Sender]]:
    made: list[Sender] = []
    yield made
    for sender in made:
        sender.close(0)


def sender_to(door: Door, senders: list[Sender], limits: Limits | None = None) -> Sender:
    senders.append(Sender(door, {"tenant_id": "t"}, limits or Limits(linger_seconds=0.01)))
    return senders[-1]


def call(number: int, **fields: object) -> Record:
    return Record(number, time.time_ns(), OUTSIDE, {"provider": "p", "model": "m", "prompt_tokens": 1, **fields})


def test_what_is_recorded_is_sent_in_batches_of_at_most_the_limit(senders: list[Sender]) -> None:
    door = Door()
    door.gate.clear()
    sender = sender_to(door, senders, Limits(batch_events_max=10, linger_seconds=0.01))
    for number in range(25):
        sender.offer(call(number))
    door.gate.set()
    assert sender.flush(5)
    assert max(map(len, door.batches)) <= 10
    assert len({event_id for batch in door.batches for event_id in batch}) == 25
    assert sender.stats() == Stats(sent=25)


def test_a_batch_nobody_took_is_sent_again_with_the_same_ids(senders: list[Sender]) -> None:
    door = Door(TryAgain("away"), TryAgain("still away"))
    sender = sender_to(door, senders)
    sender.offer(call(1))
    assert sender.flush(5)
    assert door.batches == [door.batches[0]] * 3
    assert sender.stats() == Stats(sent=1)


def test_the_other_side_may_ask_for_a_pause(senders: list[Sender]) -> None:
    door = Door(TryAgain("busy", after_seconds=0.5))
    sender = sender_to(door, senders)
    started = time.monotonic()
    sender.offer(call(1))
    while sender.stats().sent == 0 and time.monotonic() < started + 5:
        time.sleep(0.01)
    assert time.monotonic() - started >= 0.5


def test_a_full_queue_drops_the_newest_and_counts_it_without_waiting(senders: list[Sender]) -> None:
    door = Door()
    door.gate.clear()
    sender = sender_to(door, senders, Limits(queue_records_max=5, batch_events_max=1, linger_seconds=0))
    started = time.monotonic()
    for number in range(50):
        sender.offer(call(number))
    assert time.monotonic() - started < 1
    stats = sender.stats()
    assert stats.queued + stats.dropped == 50
    assert stats.queued <= 6
    door.gate.set()
    assert sender.flush(5)
    assert sender.stats().sent == stats.queued


def test_what_cannot_be_an_event_does_not_spoil_its_neighbours(senders: list[Sender]) -> None:
    door = Door()
    sender = sender_to(door, senders)
    sender.offer(call(1, prompt_tokens=-5))
    sender.offer(call(2))
    assert sender.flush(5)
    assert sender.stats() == Stats(sent=1, rejected=1)


def test_what_the_door_rejects_is_counted_and_not_sent_again(senders: list[Sender]) -> None:
    door = Door(Delivered(0, ("another tenant than the key's",)))
    sender = sender_to(door, senders)
    sender.offer(call(1))
    assert sender.flush(5)
    assert (sender.stats(), len(door.batches)) == (Stats(rejected=1), 1)


def test_a_batch_that_is_too_large_is_split(senders: list[Sender]) -> None:
    door = Door(TooLarge(), TooLarge())
    sender = sender_to(door, senders, Limits(batch_events_max=4, linger_seconds=0.2))
    for number in range(4):
        sender.offer(call(number))
    assert sender.flush(5)
    assert sorted(map(len, door.batches)) == [1, 1, 2, 2, 4]
    assert sender.stats() == Stats(sent=4)


@pytest.mark.parametrize("error", [GiveUp("a wrong key"), RuntimeError("a bug"), TooLarge()])
def test_what_will_never_be_taken_is_counted_as_failed_and_the_next_goes_on(
    senders: list[Sender], error: Exception
) -> None:
    sender = sender_to(Door(error), senders)
    sender.offer(call(1))
    assert sender.flush(5)
    sender.offer(call(2))
    assert sender.flush(5)
    assert sender.stats() == Stats(sent=1, failed=1)


def test_a_batch_is_given_up_after_its_time(senders: list[Sender]) -> None:
    door = Door(*[TryAgain("away")] * 100)
    sender = sender_to(door, senders, Limits(linger_seconds=0, give_up_seconds=0.5))
    sender.offer(call(1))
    deadline = time.monotonic() + 5
    while sender.stats().failed == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert sender.stats() == Stats(failed=1)


def test_closing_with_nobody_there_ends_in_time_and_says_what_failed(senders: list[Sender]) -> None:
    door = Door(*[TryAgain("away")] * 1_000)
    sender = sender_to(door, senders, Limits(batch_events_max=10, linger_seconds=0))
    for number in range(30):
        sender.offer(call(number))
    started = time.monotonic()
    sender.close(0.3)
    assert time.monotonic() - started < 2
    assert sender.stats() == Stats(failed=30)
    assert door.closed


def test_after_closing_calls_are_dropped(senders: list[Sender]) -> None:
    sender = sender_to(Door(), senders)
    sender.close(1)
    sender.offer(call(1))
    assert sender.stats() == Stats(dropped=1)


def test_flush_says_when_the_time_ran_out(senders: list[Sender]) -> None:
    door = Door()
    door.gate.clear()
    sender = sender_to(door, senders)
    sender.offer(call(1))
    assert not sender.flush(0.05)
    door.gate.set()
    assert sender.flush(5)


def test_many_threads_lose_nothing(senders: list[Sender]) -> None:
    sender = sender_to(Door(), senders)

    def offer_many() -> None:
        for number in range(500):
            sender.offer(call(number))

    threads = [threading.Thread(target=offer_many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sender.flush(10)
    assert sender.stats() == Stats(sent=4_000)
