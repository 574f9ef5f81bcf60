"""Looks at what was just committed: spikes are found, stored once, and relayed to Kafka."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import UTC, datetime

import psycopg
import structlog
from confluent_kafka import Producer

from services.contracts.topics import SPEND_SPIKES
from services.processor.metrics import SPIKES
from services.processor.spike_relay import relay
from services.processor.spike_store import UsualHours, detect
from services.processor.spikes import SeriesHour

log = structlog.get_logger()


class Watch:
    """Collects the series that flushes touch (any thread) and evaluates them in `run_once` (one thread)."""

    def __init__(self, dsn: str, producer: Producer, spikes_topic: str = SPEND_SPIKES.name) -> None:
        self._dsn = dsn
        self._producer = producer
        self._spikes_topic = spikes_topic
        self._connection: psycopg.Connection | None = None
        self._usual_hours = UsualHours()
        self._lock = threading.Lock()
        self._touched: set[SeriesHour] = set()
        self._through = datetime.fromtimestamp(0, UTC)

    def touch(self, series: Iterable[SeriesHour], through: datetime) -> None:
        """Series of a committed flush; `through` is the broker's time of its last message, which is stream time."""
        with self._lock:
            self._touched.update(series)
            self._through = max(self._through, through)

    def run_once(self) -> None:
        """Raises psycopg.OperationalError when the database is away; the touched series are kept for the next round."""
        with self._lock:
            touched, through = self._touched, self._through
            self._touched = set()
        try:
            connection = self._connected()
            for spike in detect(connection, touched, through, usual_hours=self._usual_hours) if touched else ():
                SPIKES.labels(spike.rule).inc()
                log.info("spike", tenant=spike.tenant_id, cause=spike.cause)
            relay(connection, self._producer, datetime.now(UTC), self._spikes_topic)
        except psycopg.Error:
            self.touch(touched, through)
            self.close()
            raise

    def _connected(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(
                self._dsn, autocommit=True, options="-c timezone=UTC", application_name="processor-watch"
            )
        return self._connection

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
