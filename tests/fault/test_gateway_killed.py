"""The gateway dies with requests in flight: what it accepted counts, what is sent again counts once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from services.contracts.stubs.spendstream.v1 import usage_pb2, usage_pb2_grpc
from tests.fault.system import System
from tests.integration.processor.running import ROOT, free_port, wait_until

_KEY = "sps_fault-test-admin-key"


class Gateway:
    """A gateway process that can be killed and started again on the same ports."""

    def __init__(self, system: System) -> None:
        self.grpc_port = free_port()
        self._environment = {
            **os.environ,
            "SPENDSTREAM_DATABASE_DSN": system.dsn,
            "SPENDSTREAM_KAFKA_BOOTSTRAP": system.backends.kafka_bootstrap,
            "SPENDSTREAM_USAGE_TOPIC": system.topics.usage_events.name,
            "SPENDSTREAM_ADMIN_KEY": _KEY,
            "SPENDSTREAM_GATEWAY_PORT": str(free_port()),
            "SPENDSTREAM_GRPC_PORT": str(self.grpc_port),
        }
        self._log = system.folder / "gateway.log"
        self.process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "services.gateway.main"]
            return subprocess.Popen(command, cwd=ROOT, env=self._environment, stderr=log)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def start(self) -> None:
        self.process = self._started()


class Client:
    """Sends a batch until a gateway has answered for it."""

    def __init__(self, port: int) -> None:
        self._target = f"127.0.0.1:{port}"
        self._accepted = 0
        self._lock = threading.Lock()
        self.resent = 0

    @property
    def accepted(self) -> int:
        return self._accepted

    def send(self, batch: usage_pb2.UsageBatch) -> None:
        for _ in range(400):
            try:
                with grpc.insecure_channel(self._target) as channel:
                    stub = usage_pb2_grpc.UsageServiceStub(channel)  # type: ignore[no-untyped-call]
                    answer = stub.RecordUsage(
                        usage_pb2.RecordUsageRequest(batch=batch),
                        timeout=10,
                        metadata=[("authorization", f"Bearer {_KEY}")],
                    )
            except grpc.RpcError:
                with self._lock:
                    self.resent += 1
                time.sleep(0.1)
                continue
            assert not answer.rejected, answer.rejected[:1]
            with self._lock:
                self._accepted += answer.accepted
            return
        raise AssertionError("no gateway answered")


@pytest.mark.in_test_run
def test_every_accepted_event_counts_once_though_the_gateway_is_killed(system: System) -> None:
    batches = list(system.books.batches(24_000, size=100))
    gateway = Gateway(system)
    client = Client(gateway.grpc_port)
    with system.kept(system.processor()), ThreadPoolExecutor(8) as senders:
        sent = [senders.submit(client.send, batch) for batch in batches]
        try:
            for share in (0.2, 0.5, 0.8):
                # While requests are in flight: some are answered, many are not.
                wait_until(lambda share=share: client.accepted > share * system.books.calls, "it accepts", 60)  # type: ignore[misc]
                gateway.kill()
                gateway.start()
            for each in sent:
                each.result(90)
        finally:
            gateway.kill()
        assert client.accepted == system.books.calls
        assert client.resent > 0, "the kills met requests in flight"
        with system.watched():
            system.assert_exact()
