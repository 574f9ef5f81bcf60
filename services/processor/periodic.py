"""Work beside the stream: refresh, progress, watch. Each in a thread of its own, repeated until the worker stops."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg
import structlog
from confluent_kafka import KafkaException

from services.contracts.errors import Retry

log = structlog.get_logger()


class Periodic(threading.Thread):
    """Calls `work` every `every_seconds`. A database or broker that is away is logged and tried again; anything else is
    handed to `crash`."""

    def __init__(
        self, name: str, work: Callable[[], object], every_seconds: float, crash: Callable[[BaseException], None]
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._work = work
        self._every_seconds = every_seconds
        self._crash = crash
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.wait(self._every_seconds):
            try:
                self._work()
            except (psycopg.OperationalError, psycopg.InterfaceError, KafkaException, Retry) as error:
                log.warning("will try again", work=self.name, error=str(error).splitlines()[0])
            except Exception as error:  # a bug here must be seen, not swallowed by a thread
                self._crash(error)
                return

    def stop(self) -> None:
        self._stopping.set()
        if self.is_alive():
            self.join(timeout=10)
