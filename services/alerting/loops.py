"""Loops that outlive their database: each round on one connection, opened again with back-off when it is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
import structlog

from services.alerting import metrics

Connection = psycopg.Connection[Any]
log = structlog.get_logger(__name__)

BACKOFF_FIRST_SECONDS, BACKOFF_MAX_SECONDS = 0.5, 10.0


@dataclass(frozen=True, slots=True)
class Loop:
    """`step` does one round and says after how many seconds the next one is due."""

    name: str
    connect: Callable[[], Connection]
    step: Callable[[Connection], float]
    stop: threading.Event

    def run(self) -> None:
        """Until `stop` is set. A database error is tried again; anything else is a bug and ends the process."""
        wait = BACKOFF_FIRST_SECONDS
        while not self.stop.is_set():
            try:
                with self.connect() as connection:
                    while not self.stop.is_set():
                        pause = self.step(connection)
                        wait = BACKOFF_FIRST_SECONDS
                        self.stop.wait(pause)
            except psycopg.Error as error:
                metrics.FAILURES.labels(self.name).inc()
                log.warning("round_failed", loop=self.name, error=type(error).__name__, again_in_seconds=wait)
                self.stop.wait(wait)
                wait = min(wait * 2, BACKOFF_MAX_SECONDS)
