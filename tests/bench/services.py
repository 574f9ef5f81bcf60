"""Services and agents as processes of their own, for the time of a `with`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.runtime.embedded.backends import Backends
from tests.backends import FreshTopics

ROOT = Path(__file__).parents[2]
ADMIN_KEY = "bench-admin-key-0123456789abcdef"


@dataclass(frozen=True, slots=True)
class Running:
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def check(self) -> None:
        """Raises with the end of its log when it is no longer running."""
        if self.process.poll() is not None:
            raise RuntimeError(f"it ended with {self.process.returncode}:\n{self.log.read_text()[-3000:]}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(backends: Backends, dsn: str, topics: FreshTopics, port: int) -> dict[str, str]:
    """The settings every service is started with."""
    return {
        **os.environ,
        "SPENDSTREAM_DATABASE_DSN": dsn,
        "SPENDSTREAM_KAFKA_BOOTSTRAP": backends.kafka_bootstrap,
        "SPENDSTREAM_PROCESSOR_PORT": str(port),
        "SPENDSTREAM_QUERY_PORT": str(port),
        "SPENDSTREAM_GATEWAY_PORT": str(port),
        "SPENDSTREAM_GRPC_PORT": "0",
        "SPENDSTREAM_ADMIN_KEY": ADMIN_KEY,
        "SPENDSTREAM_SESSION_SECRET": "bench" * 10,
        "SPENDSTREAM_CONSUMER_GROUP": topics.prefix + uuid.uuid4().hex[:6],
        "SPENDSTREAM_USAGE_TOPIC": topics.usage_events.name,
        "SPENDSTREAM_DEAD_LETTER_TOPIC": topics.dead_letter.name,
        "SPENDSTREAM_SPIKES_TOPIC": topics.spend_spikes.name,
    }


@contextmanager
def running(module: str, settings: Mapping[str, str], port: int) -> Iterator[Running]:
    """`python -m module`, asked to stop at the end and killed when it does not."""
    with tempfile.TemporaryDirectory(prefix="spendstream-bench-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", module], cwd=ROOT, env=dict(settings), stdout=output, stderr=output
            )
        try:
            yield Running(process, port, log)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def service(name: str, backends: Backends, dsn: str, topics: FreshTopics) -> Iterator[Running]:
    """A service of the product; ready when the block begins, but for the processor, which may be behind."""
    port = free_port()
    with running(f"services.{name}.main", environment(backends, dsn, topics, port), port) as started:
        if name != "processor":
            wait_ready(started)
        yield started


def wait_ready(service: Running, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        service.check()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{service.port}/readyz", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.05)
    raise TimeoutError(f"not ready after {seconds} s:\n{service.log.read_text()[-3000:]}")
