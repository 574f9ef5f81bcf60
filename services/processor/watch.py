"""Looks at what was just committed: spikes are found, stored once, and relayed to Kafka."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime

import psycopg
import structlog
from confluent_kafka import Producer

from services.contracts.topics import SPEND_SPIKES
from services.processor.kept_connection import KeptConnection
from services.processor.metrics import SPIKES
from services.processor.spike_relay import relay
from services.processor.spike_store import UsualHours, detect, open_hours
from services.processor.spikes import SeriesHour, is_open

log = structlog.get_logger()
# Of the worker's time; reading what is usual comes on top. A jump is still seen well within a minute.
_SHARE, REST_SECONDS_MAX = 0.05, 20.0
# What lies between two rounds anyway.
EVERY_SECONDS = 1.0


def rest_after(cpu_seconds: float) -> float:
    """How long to rest after a round that took so much, beside what lies between rounds anyway."""
    return min(max(0.0, cpu_seconds * (1 / _SHARE - 1) - EVERY_SECONDS), REST_SECONDS_MAX)


class Watch:
    """Collects the series that flushes touch (any thread) and evaluates them in `run_once` (one thread)."""

    def __init__(self, dsn: str, producer: Producer, spikes_topic: str = SPEND_SPIKES.name) -> None:
        self._connection = KeptConnection(dsn, "processor-watch")
        self._producer = producer
        self._spikes_topic = spikes_topic
        self._usual_hours = UsualHours()
        self._lock = threading.Lock()
        # Each open hour with the stream time of the last flush that touched it: after a long backlog the stream is
        # hours further when they are evaluated, and they were open all the same.
        self._touched: dict[SeriesHour, datetime] = {}
        # Hours that were over when they were touched: no news, but what was remembered of them is wrong now.
        self._late: set[SeriesHour] = set()
        self._assigned = False
        self._rests_until = float("-inf")

    def touch(self, series: Iterable[SeriesHour], through: datetime) -> None:
        """Series of a committed flush; `through` is the broker's time of its last message, which is stream time."""
        with self._lock:
            for one in series:
                if is_open(one.hour, through):
                    self._touched[one] = max(through, self._touched.get(one, through))
                else:
                    self._late.add(one)

    def assigned(self) -> None:
        """Partitions were taken over: what their last owner committed and didn't look at any more is looked at."""
        with self._lock:
            self._assigned = True

    def run_once(self) -> None:
        """Raises psycopg.OperationalError when the database is away; the touched series are kept for the next round.

        Takes little of the worker's time, however many series there are: after a round that took long it rests.
        """
        if time.monotonic() < self._rests_until:
            return
        started = time.thread_time()
        with self._lock:
            touched, late, assigned = self._touched, self._late, self._assigned
            self._touched, self._late, self._assigned = {}, set(), False
        try:
            with self._connection.opened() as connection:
                self._usual_hours.forget(late)
                if assigned:
                    touched = _still_open(connection) | touched
                for hour in sorted({one.hour for one in touched}):
                    self._detect(connection, {one: at for one, at in touched.items() if one.hour == hour})
                relay(connection, self._producer, datetime.now(UTC), self._spikes_topic)
        except psycopg.Error:
            self._take_back(touched, late, assigned=assigned)
            raise
        self._rests_until = time.monotonic() + rest_after(time.thread_time() - started)

    def _detect(self, connection: psycopg.Connection, touched: dict[SeriesHour, datetime]) -> None:
        for spike in detect(connection, touched, max(touched.values()), usual_hours=self._usual_hours):
            SPIKES.labels(spike.rule).inc()
            log.info("spike", rule=spike.rule, tenant=spike.tenant_id, cause=spike.cause)

    def _take_back(self, touched: dict[SeriesHour, datetime], late: set[SeriesHour], *, assigned: bool) -> None:
        with self._lock:
            self._touched = touched | self._touched
            self._late |= late
            self._assigned |= assigned

    def close(self) -> None:
        self._connection.close()


def _still_open(connection: psycopg.Connection) -> dict[SeriesHour, datetime]:
    """Hours with calls that are open at the stream time the ledger has come to."""
    row = connection.execute("SELECT max(stream_through) FROM ledger").fetchone()
    if row is None or row[0] is None:
        return {}
    through: datetime = row[0]
    return dict.fromkeys(open_hours(connection, through), through)
