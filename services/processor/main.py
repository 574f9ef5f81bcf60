"""Wires the processor and runs it: `python -m services.processor.main`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from confluent_kafka import Producer

from services.processor.app import build_app
from services.processor.book_file import BookFile
from services.processor.dead_letters import DeadLetters
from services.processor.heal_store import Healer
from services.processor.lanes import Lanes
from services.processor.ledger import Stream
from services.processor.log_probe import LogProbe
from services.processor.look_after import LookAfter
from services.processor.merger import Merger
from services.processor.outset import Broker, TopicGuard, wait_until_fit
from services.processor.periodic import Periodic
from services.processor.progress import Progress
from services.processor.refresher import Refresher
from services.processor.retention import RetentionJob
from services.processor.screen import Screen
from services.processor.settings import ProcessorSettings
from services.processor.store import Store
from services.processor.stuck import Watchdog
from services.processor.tenants import Tenants
from services.processor.watch import EVERY_SECONDS, Watch
from services.processor.worker import FlushSizes, Worker
from services.runtime.configured import read_settings
from services.runtime.health import NotReady, serve_health
from services.runtime.logs import configure_logging

log = structlog.get_logger()
EXIT_CRASH = 70
_LAG_READY_MESSAGES = 10_000
# Progress is looked at twice a second.
_SILENT_SECONDS_MAX = 10.0
_RETENTION_SECONDS = 60.0
_TOPIC_SECONDS = 5.0
# Less than the grace of whoever asks: `spendstream up` gives 10 s, containers 30.
_STOP_SECONDS_MAX = 8.0


@dataclass(slots=True)
class Readiness:
    """What `/readyz` says, from the first moment on."""

    not_ready: NotReady = lambda: "starting"

    def halted(self, reason: str) -> None:
        self.not_ready = lambda: reason


def why_not_ready(owns: bool, silent_seconds: float, lag_messages: int) -> str:
    """Why a worker is not ready, "" when it is: by its partitions, its last look at ledger and broker, and its lag."""
    if not owns:
        return "no partition assigned yet"
    if silent_seconds > _SILENT_SECONDS_MAX:
        return "broker or database away: the ledger could not be read lately"
    return f"{lag_messages} messages behind" if lag_messages > _LAG_READY_MESSAGES else ""


def crash(error: BaseException) -> None:
    """Ends the process at once: what is committed is right, what is in memory is not to be trusted any more."""
    log.critical("crash", error=f"{type(error).__name__}: {error}", exc_info=error)
    os._exit(EXIT_CRASH)


def leave() -> None:
    """Ends a stop that hangs on a database or broker that is away: what isn't committed is read again by the next."""
    log.warning("stopped without the flush under way", waited_seconds=_STOP_SECONDS_MAX)
    os._exit(0)


async def run(settings: ProcessorSettings, store_type: type[Store] = Store) -> None:
    """Runs until SIGTERM or SIGINT; ends within `_STOP_SECONDS_MAX` of it, whoever is away."""
    stopping = asyncio.Event()

    def stop() -> None:
        stopping.set()
        limit = threading.Timer(_STOP_SECONDS_MAX, leave)
        limit.daemon = True
        limit.start()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    readiness = Readiness()
    health = serve_health(settings.processor_port, lambda: readiness.not_ready(), settings.processor_host)
    broker = Broker(settings.kafka_bootstrap, settings.usage_topic, settings.kafka_security)
    stream = await wait_until_fit(settings.database_dsn, broker, stopping, readiness.halted)
    if stream is not None:
        guard = TopicGuard(broker, stream)
        await _process(settings, stream, guard, store_type, stopping, readiness)
    health.shutdown()


async def _process(
    settings: ProcessorSettings,
    stream: Stream,
    guard: TopicGuard,
    store_type: type[Store],
    stopping: asyncio.Event,
    readiness: Readiness,
) -> None:
    bootstrap, security = settings.kafka_bootstrap, settings.kafka_security
    dead_letters = DeadLetters(bootstrap, stream.topic, settings.dead_letter_topic, security)
    probe = LogProbe(bootstrap, stream.topic, security)
    stores = [
        store_type(settings.database_dsn, stream, dead_letters.publish, first_readable=probe.first_readable)
        for _ in range(settings.store_lanes)
    ]
    lanes = Lanes(stores)
    producer = Producer(security.client_config(bootstrap) | {"acks": "all", "delivery.timeout.ms": 10_000})
    watch = Watch(settings.database_dsn, producer, settings.spikes_topic)
    book_file = BookFile(settings.price_book, settings.database_dsn)
    screen = Screen(settings.database_dsn, lambda: lanes.wary)
    sizes = FlushSizes(settings.flush_bytes_max, settings.lanes_bytes_min)
    worker = Worker(lanes, book_file.book, Tenants(settings.database_dsn).numbers, screen, watch, sizes)
    progress = Progress(settings.database_dsn, bootstrap, stream, lambda: worker.owned, security)
    look_after = LookAfter(progress, Watchdog(settings.stuck_seconds), probe.first_readable)

    def behind() -> bool:
        return progress.lag_messages > settings.flush_messages_max

    refresher = Refresher(settings.database_dsn, settings.close_after_seconds, behind)
    merger = Merger(settings.database_dsn, behind)
    healer = Healer(settings.database_dsn, book_file.book)
    retention = RetentionJob(settings.database_dsn, settings.retention())
    app = build_app(settings, stream, worker, crash)

    def notice_failure() -> None:
        error = worker.failed()
        if error is not None:
            crash(error)

    periodic = [
        Periodic("refresh", lambda: refresher.run_once(datetime.now(UTC)), settings.refresh_seconds, crash),
        Periodic("merge", lambda: merger.run_once(datetime.now(UTC)), settings.merge_seconds, crash),
        Periodic("retention", lambda: retention.run_once(datetime.now(UTC)), _RETENTION_SECONDS, crash),
        Periodic("price-book", book_file.look, 1.0, crash),
        Periodic("heal", healer.run_once, settings.refresh_seconds, crash),
        Periodic("progress", look_after.report, 0.5, crash),
        Periodic("topic", guard.look, _TOPIC_SECONDS, crash),
        Periodic("watch", watch.run_once, EVERY_SECONDS, crash),
        Periodic("notice-failure", notice_failure, 0.5, crash),
    ]

    def not_ready() -> str:
        silent = time.monotonic() - progress.reported_at
        return why_not_ready(bool(worker.owned), silent, progress.lag_messages)

    readiness.not_ready = not_ready
    await app.start()
    for thread in periodic:
        thread.start()
    log.info("processor runs", stream=stream.topic, topic_id=stream.topic_id)
    await stopping.wait()
    await app.stop()
    await worker.drain()
    for thread in periodic:
        thread.stop()
    book_file.close()
    for store in stores:
        store.close()


def main() -> int:
    settings = read_settings(ProcessorSettings)
    if settings is None:
        return 2
    configure_logging("processor", settings.log_level)
    asyncio.run(run(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
