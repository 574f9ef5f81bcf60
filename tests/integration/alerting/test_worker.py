"""The worker as a process: it watches, tells, survives being killed, and gives no secret away."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.integration.alerting.receiver import OK, Answer, Request, receiver
from tests.integration.alerting.watched import add_notifications, add_rule, add_spike, connect, empty, states
from tests.integration.spikes.spending import Connection

WAIT_SECONDS = 20.0


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        empty(opened)
        yield opened


@contextmanager
def worker(dsn: str, slack: str, log: Path, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SPENDSTREAM_")},
        "SPENDSTREAM_DATABASE_DSN": dsn,
        "SPENDSTREAM_SLACK_WEBHOOK": slack,
        "SPENDSTREAM_ALLOW_PRIVATE_WEBHOOKS": "127.0.0.1",
        "SPENDSTREAM_ALERTING_PORT": "0",
        "SPENDSTREAM_ALERTING_SPIKE_SECONDS": "0.2",
        "SPENDSTREAM_ALERTING_GAP_SECONDS": "0",
        **{f"SPENDSTREAM_{name.upper()}": value for name, value in settings.items()},
    }
    with log.open("ab") as errors:
        process = subprocess.Popen([sys.executable, "-m", "services.alerting.main"], env=environment, stderr=errors)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(WAIT_SECONDS)


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def port_of(log: Path) -> int | None:
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return next((int(line["port"]) for line in lines if line.get("event") == "alerting_ready"), None)


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""


def test_a_spike_is_told_within_seconds_and_the_worker_stops_cleanly(
    connection: Connection, database: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    add_rule(connection)
    with receiver() as slack, worker(database, slack.url + "/hook/T0/B0/very-secret", log) as process:
        until(lambda: port_of(log))
        port = port_of(log)
        assert port is not None
        until(lambda: get(port, "/readyz")[0] == 200)
        assert get(port, "/healthz") == (200, "ok\n") and get(port, "/elsewhere")[0] == 404
        add_spike(connection, "acme-corp", datetime.now(UTC))
        until(lambda: slack.requests)
        until(lambda: set(states(connection)) == {("slack", "sent", 1, None)})
        # In the first minutes of an hour what the rule of minutes measures begins in the hour before, and is told too.
        assert len(states(connection)) <= (2 if datetime.now(UTC).minute < 6 else 1)
        counted = 'spendstream_alerting_notifications_total{channel="slack",outcome="sent"}'
        until(lambda: f"{counted} {len(states(connection))}.0" in get(port, "/metrics")[1])
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_SECONDS) == 0
    assert slack.requests[0].json["blocks"][0]["text"]["text"].startswith("chat at acme-corp: $3.78")
    assert "very-secret" not in log.read_text() and "/hook" not in log.read_text()


def test_killed_between_sending_and_recording_sends_that_one_twice_and_loses_none(
    connection: Connection, database: str, tmp_path: Path
) -> None:
    texts = add_notifications(connection, 6, datetime.now(UTC), apart_seconds=0.001)
    received, killed = threading.Event(), threading.Event()

    def answers(request: Request) -> Answer:
        # Slack has the third message, and the worker never hears so.
        if request.json["text"] == texts[2] and not killed.is_set():
            received.set()
            killed.wait(WAIT_SECONDS)
        return OK

    with receiver(answers) as slack:
        with worker(database, slack.url, tmp_path / "first", alerting_senders="1") as process:
            assert received.wait(WAIT_SECONDS)
            process.kill()
            process.wait(WAIT_SECONDS)
            killed.set()
        with worker(database, slack.url, tmp_path / "second", alerting_senders="1"):
            until(lambda: all(state == "sent" for _, state, _, _ in states(connection)))
    times = Counter(request.json["text"] for request in slack.requests)
    assert times == {**dict.fromkeys(texts, 1), texts[2]: 2}


def test_two_workers_at_once_send_everything_once(connection: Connection, database: str, tmp_path: Path) -> None:
    texts = add_notifications(connection, 50, datetime.now(UTC))
    with (
        receiver() as slack,
        worker(database, slack.url, tmp_path / "one"),
        worker(database, slack.url, tmp_path / "two"),
    ):
        until(lambda: all(state == "sent" for _, state, _, _ in states(connection)))
        time.sleep(1)
    assert Counter(request.json["text"] for request in slack.requests) == dict.fromkeys(texts, 1)


def test_the_worker_outlives_its_database_connections(connection: Connection, database: str, tmp_path: Path) -> None:
    with receiver() as slack, worker(database, slack.url, tmp_path / "log") as process:
        until(lambda: port_of(tmp_path / "log"))
        time.sleep(1)
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'spendstream-alerting' AND datname = current_database()"
        )
        add_notifications(connection, 1, datetime.now(UTC))
        until(lambda: slack.requests)
        assert process.poll() is None


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"alerting_port": "http"}, "SPENDSTREAM_ALERTING_PORT: "),
        ({"webhook_secret": "short"}, "SPENDSTREAM_WEBHOOK_SECRET: "),
        ({"alerting_senders": "0"}, "SPENDSTREAM_ALERTING_SENDERS: "),
    ],
)
def test_wrong_settings_end_it_with_one_line(
    database: str, tmp_path: Path, settings: dict[str, str], says: str
) -> None:
    with worker(database, "", tmp_path / "log", **settings) as process:
        assert process.wait(WAIT_SECONDS) == 2
    (line,) = (tmp_path / "log").read_text().splitlines()
    assert line.startswith(says)


def test_a_port_in_use_ends_it_with_one_line(database: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with worker(database, "", tmp_path / "log", alerting_port=port) as process:
            assert process.wait(WAIT_SECONDS) == 1
    assert (tmp_path / "log").read_text().startswith(f"SPENDSTREAM_ALERTING_PORT {port} can't be listened on: ")
