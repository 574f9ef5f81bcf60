"""The bounded queue and the thread behind it. The caller's side appends under a lock and is gone."""

from __future__ import annotations

import atexit
import logging
import os
import random
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spendstream_sdk.records import Event, Record, Unusable, to_event
from spendstream_sdk.stats import Stats
from spendstream_sdk.transport import Delivered, GiveUp, TooLarge, Transport, TryAgain

log = logging.getLogger("spendstream_sdk")

_BACKOFF_FIRST_SECONDS = 0.2
_BACKOFF_SECONDS_MAX = 30.0
_RETRY_AFTER_SECONDS_MAX = 300.0
_JOIN_SECONDS = 1.0
_LOG_EVERY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Every wait and size has one. A batch nobody took for `give_up_seconds` is counted as failed."""

    queue_records_max: int = 20_000
    batch_events_max: int = 500
    linger_seconds: float = 0.25
    give_up_seconds: float = 900.0
    exit_seconds: float = 5.0


class Sender:
    """Takes records from any thread, sends them in batches from its own, and counts what became of them."""

    def __init__(self, transport: Transport, defaults: Mapping[str, str], limits: Limits) -> None:
        self._transport, self._defaults, self._limits = transport, dict(defaults), limits
        self._logged_at = 0.0
        self._reset()
        _living.add(self)

    def _reset(self) -> None:
        """As new: at first, and in a forked child, where neither the thread nor the lock's owner exists."""
        self._queue: deque[Record] = deque()
        # Reentrant: a stream that is collected as garbage in the middle of `offer` records its call too.
        self._changed = threading.Condition(threading.RLock())
        self._counts: Counter[str] = Counter()
        self._in_flight = 0
        self._thread: threading.Thread | None = None
        self._closing = False  # nothing more is taken
        self._stopping = False  # nothing more is sent
        self._hurry = False  # somebody waits: no lingering, and one pause is cut short

    def offer(self, record: Record) -> None:
        """Queues `record`, or counts it as dropped; takes microseconds either way."""
        with self._changed:
            waiting = len(self._queue)
            if self._closing or waiting >= self._limits.queue_records_max:
                self._counts["dropped"] += 1
                return
            self._queue.append(record)
            if waiting == 0 or waiting + 1 == self._limits.batch_events_max:
                if self._thread is None:
                    self._start()
                self._changed.notify_all()

    def stats(self) -> Stats:
        with self._changed:
            return Stats(queued=len(self._queue) + self._in_flight, **self._counts)

    def flush(self, timeout_seconds: float) -> bool:
        """Waits until nothing is queued or on its way; False when the time ran out before."""
        with self._changed:
            self._hurry = True
            self._changed.notify_all()
            settled = self._changed.wait_for(lambda: not self._queue and not self._in_flight, timeout_seconds)
            self._hurry = False
            return settled

    def close(self, timeout_seconds: float) -> None:
        """Sends what it can in the time, counts the rest as failed, and ends the thread."""
        with self._changed:
            self._closing = True
        self.flush(timeout_seconds)
        with self._changed:
            self._stopping = True
            self._counts["failed"] += len(self._queue)
            self._queue.clear()
            self._changed.notify_all()
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(_JOIN_SECONDS)
        if thread is None or not thread.is_alive():
            self._transport.close()
        _living.discard(self)

    def close_at_exit(self) -> None:
        self.close(self._limits.exit_seconds)

    def after_fork_in_child(self) -> None:
        """What is queued is the parent's to send; the child starts empty, with connections of its own."""
        self._transport.abandon()
        self._reset()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="spendstream-sender", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while (batch := self._next_batch()) is not None:
            try:
                events = self._to_events(batch)
                if events:
                    self._send(events)
            except Exception:
                log.exception("spendstream: an error of this library; %d calls are lost", len(batch))
                self._count("failed", len(batch))
            with self._changed:
                self._in_flight = 0
                self._changed.notify_all()

    def _next_batch(self) -> list[Record] | None:
        """Waits for records, then a little for more of them; None when it is time to end."""
        limits = self._limits
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing or self._stopping)
            self._changed.wait_for(
                lambda: len(self._queue) >= limits.batch_events_max or self._hurry or self._closing,
                limits.linger_seconds,
            )
            if self._stopping or not self._queue:
                return None
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), limits.batch_events_max))]
            self._in_flight = len(batch)
            return batch

    def _to_events(self, batch: Sequence[Record]) -> list[Event]:
        events: list[Event] = []
        for record in batch:
            try:
                events.append(to_event(record, self._defaults))
            except Unusable as error:
                self._settle(Delivered(0, (str(error),)))
        return events

    def _send(self, events: Sequence[Event]) -> None:
        """Sends until it is decided what became of all of them; the ids never change on the way."""
        give_up_at, pause_seconds = time.monotonic() + self._limits.give_up_seconds, _BACKOFF_FIRST_SECONDS
        while True:
            try:
                self._settle(self._transport.send(events))
                return
            except TooLarge:
                self._split(events)
                return
            except GiveUp as error:
                self._fail(len(events), str(error))
                return
            except TryAgain as error:
                if self._stopping or time.monotonic() > give_up_at:
                    self._fail(len(events), str(error))
                    return
                self._warn("spendstream: %s; trying again, nothing is lost yet", error)
                asked_seconds = min(error.after_seconds or 0.0, _RETRY_AFTER_SECONDS_MAX)
            # Not for secrets: jitter.
            self._pause(max(asked_seconds, pause_seconds * random.uniform(0.75, 1.25)))  # nosec B311
            pause_seconds = min(pause_seconds * 2, _BACKOFF_SECONDS_MAX)

    def _split(self, events: Sequence[Event]) -> None:
        if len(events) == 1:
            self._fail(1, "one call alone is too large")
            return
        middle = len(events) // 2
        self._send(events[:middle])
        self._send(events[middle:])

    def _pause(self, seconds: float) -> None:
        """Waits, but not through a flush or the end: each cuts a pause short once."""
        with self._changed:
            self._changed.wait_for(lambda: self._hurry or self._stopping, seconds)
            self._hurry = False

    def _settle(self, delivered: Delivered) -> None:
        self._count("sent", delivered.accepted)
        self._count("rejected", len(delivered.rejected))
        if delivered.rejected:
            self._warn("spendstream: %d calls rejected: %s", len(delivered.rejected), delivered.rejected[0])

    def _fail(self, count: int, reason: str) -> None:
        self._count("failed", count)
        self._warn("spendstream: %d calls given up: %s", count, reason)

    def _count(self, name: str, count: int) -> None:
        with self._changed:
            self._counts[name] += count

    def _warn(self, message: str, *values: object) -> None:
        """Logs, but not for every batch: the counters tell the rest."""
        if time.monotonic() - self._logged_at > _LOG_EVERY_SECONDS or not self._logged_at:
            self._logged_at = time.monotonic()
            log.warning(message, *values)


_living: weakref.WeakSet[Sender] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for sender in list(_living):
        sender.after_fork_in_child()


def _at_exit() -> None:
    for sender in list(_living):
        sender.close_at_exit()


os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_at_exit)
