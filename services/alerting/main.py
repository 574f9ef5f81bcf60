"""Builds the alerting worker and runs it until it is told to stop."""

from __future__ import annotations

import logging
import random
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from time import monotonic

import psycopg
import structlog

from services.alerting import metrics
from services.alerting.alert_store import seal_plain
from services.alerting.evaluator import Telling, evaluate_limits, evaluate_spikes, evaluate_troubles
from services.alerting.health import health_server
from services.alerting.loops import Connection, Loop
from services.alerting.outbox import pending, send_next
from services.alerting.senders import Channels, Sender, make_client
from services.alerting.settings import AlertingSettings
from services.runtime.configured import read_settings
from services.runtime.logs import configure_logging
from services.runtime.sealing import Sealer

log = structlog.get_logger(__name__)

_IDLE_SECONDS = 0.5
_READY_SECONDS = 30.0
_STOP_SECONDS = 15.0


def _now() -> datetime:
    return datetime.now(UTC)


def serve(settings: AlertingSettings, stop: threading.Event, listening: Callable[[int], None] = lambda _: None) -> int:
    """Runs until `stop` is set; the exit code. `listening` is told the port of the health door."""
    dsn = settings.database_dsn.get_secret_value()
    telling = Telling(settings.public_url, settings.slack_webhook is not None)
    last_evaluated = [float("-inf")]
    limits_due = [float("-inf")]

    def connect() -> Connection:
        return psycopg.connect(dsn, application_name="spendstream-alerting", connect_timeout=5)

    def watch(connection: Connection) -> float:
        if limits_due[0] == float("-inf"):
            seal_plain(connection, Sealer(_channels(settings).address_key))
        with metrics.EVALUATE_SECONDS.labels("spikes").time():
            evaluate_spikes(connection, _now(), telling)
        if monotonic() >= limits_due[0]:
            started = monotonic()
            with metrics.EVALUATE_SECONDS.labels("limits").time():
                evaluate_limits(connection, _now(), telling)
            with metrics.EVALUATE_SECONDS.labels("troubles").time():
                evaluate_troubles(connection, _now(), telling)
            metrics.PENDING.set(pending(connection))
            # Never more than a fifth of the time, however much there is to read.
            limits_due[0] = monotonic() + max(settings.alerting_limit_seconds, 4 * (monotonic() - started))
        metrics.LAST_EVALUATED.set_to_current_time()
        last_evaluated[0] = monotonic()
        return settings.alerting_spike_seconds

    def ready() -> bool:
        return monotonic() - last_evaluated[0] < _READY_SECONDS

    with ExitStack() as stack:
        port = stack.enter_context(health_server(settings.alerting_host, settings.alerting_port, ready))
        loops = [Loop("watch", connect, watch, stop)]
        for number in range(settings.alerting_senders):
            sender = Sender(_channels(settings), stack.enter_context(make_client()), _now)
            sending = _sending(sender, settings.alerting_gap_seconds)
            loops.append(Loop(f"send-{number}", connect, sending, stop))
        log.info("alerting_ready", port=port)
        listening(port)
        failed = _run(loops, stop)
    return 1 if failed else 0


def _sending(sender: Sender, gap_seconds: float) -> Callable[[Connection], float]:
    def send(connection: Connection) -> float:
        outcome = send_next(connection, _now, sender.send, random.random, gap_seconds)
        return _IDLE_SECONDS if outcome is None else 0.0

    return send


def _run(loops: list[Loop], stop: threading.Event) -> bool:
    """The loops in threads until `stop` is set; whether one of them ended by a bug."""
    failed = threading.Event()

    def guarded(loop: Loop) -> None:
        try:
            loop.run()
        except Exception:
            log.exception("loop_ended", loop=loop.name)
            failed.set()
            stop.set()

    threads = [threading.Thread(target=guarded, args=(loop,), name=loop.name, daemon=True) for loop in loops]
    for thread in threads:
        thread.start()
    stop.wait()
    deadline = monotonic() + _STOP_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - monotonic()))
    return failed.is_set()


def _channels(settings: AlertingSettings) -> Channels:
    def text(name: str) -> str:
        secret = getattr(settings, name)
        return secret.get_secret_value() if secret is not None else ""

    return Channels(
        text("slack_webhook"), text("webhook_secret"), settings.private_hosts, text("smtp_url"), settings.smtp_from,
        text("address_key"),
    )  # fmt: skip


def main() -> int:
    """The process: settings from the environment, logs to stderr, stopped by SIGTERM or SIGINT."""
    settings = read_settings(AlertingSettings)
    if settings is None:
        return 2
    configure_logging("alerting", settings.log_level)
    # The HTTP client logs addresses, and a webhook's address is a secret.
    for library in ("httpx", "httpcore"):
        logging.getLogger(library).setLevel(logging.WARNING)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        return serve(settings, stop)
    except OSError as error:
        port = settings.alerting_port
        print(f"SPENDSTREAM_ALERTING_PORT {port} can't be listened on: {error.strerror}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
