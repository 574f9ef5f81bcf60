"""The whole of Spendstream as `spendstream up` runs it, on a data folder of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from services.cli.demo_receiver import Inbox, serve
from services.cli.running import Running, find_running
from services.contracts.keys import make_key
from tests.backends import temporary_home
from tests.integration.processor.running import free_port

ROOT = Path(__file__).parents[3]
SHARED = ROOT.parent / "shared"
_READY_SECONDS = 90
_PORTS = ("QUERY", "GATEWAY", "GRPC", "PROCESSOR", "ALERTING")


@dataclass(frozen=True)
class Slack:
    """The demo's own receiver."""

    inbox: Inbox
    url: str


@contextmanager
def running_slack(inbox: Inbox) -> Iterator[Slack]:
    server = serve(0, inbox)
    try:
        yield Slack(inbox, f"http://127.0.0.1:{server.server_address[1]}")
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class System:
    """`spendstream up` as a child process."""

    home: Path
    environment: dict[str, str]
    log: Path
    # Where alerts go: what Slack would get, on a page.
    slack: Slack
    process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        """`up`; with `--json` what it says on standard output is in `said`, not in the log."""
        with self.log.open("ab") as log, self.said.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services.cli.main", "up", *options],
                cwd=ROOT,
                env=self.environment,
                stdout=said if "--json" in options else log,
                stderr=log,
            )
        deadline = time.monotonic() + _READY_SECONDS
        while find_running(self.home) is None:
            assert self.process.poll() is None, f"`up` ended:\n{self.log.read_text()[-3000:]}"
            assert time.monotonic() < deadline, f"`up` was not ready in time:\n{self.log.read_text()[-3000:]}"
            time.sleep(0.2)

    @property
    def said(self) -> Path:
        """One JSON document, once it is ready."""
        return self.log.with_suffix(".json")

    def stop(self) -> int:
        """Ctrl-C; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)

    @property
    def running(self) -> Running:
        found = find_running(self.home)
        assert found is not None
        return found

    def client(self, key: str | None = None) -> httpx.Client:
        """A client of the query service; the admin's unless a key is given."""
        headers = {"authorization": f"Bearer {key or self.running.admin_key}"}
        return httpx.Client(base_url=self.running.urls["query"], headers=headers, timeout=30)


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Started once for all tests that need the whole."""
    folder = tmp_path_factory.mktemp("up")
    with temporary_home() as home, running_slack(Inbox(folder / "slack.jsonl")) as slack:
        ports = {f"SPENDSTREAM_{name}_PORT": str(free_port()) for name in _PORTS}
        own = {"SPENDSTREAM_HOME": str(home), "SPENDSTREAM_DEMO": "0", "SPENDSTREAM_ADMIN_KEY": make_key()}
        told = {"SPENDSTREAM_SLACK_WEBHOOK": f"{slack.url}/slack", "SPENDSTREAM_ALLOW_PRIVATE_WEBHOOKS": "127.0.0.1"}
        started = System(home, {**os.environ, **ports, **own, **told}, folder / "up.log", slack)
        started.start()
        try:
            yield started
        finally:
            if started.process is not None and started.process.poll() is None:
                started.stop()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The acceptance checks and data beside the repository."""
    if not SHARED.is_dir():
        pytest.skip("the acceptance checks and the trace are not at ../shared")
    return SHARED
