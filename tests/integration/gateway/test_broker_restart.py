"""A broker that dies and comes back: what was answered as accepted is there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

import httpx
from pydantic import SecretStr

from services.gateway.settings import GatewaySettings
from services.runtime.embedded.backends import EmbeddedBackends
from services.runtime.topics import ensure_topics
from tests.backends import temporary_home
from tests.integration.gateway.conftest import ADMIN_KEY, UsageTopic
from tests.integration.gateway.gateway_process import gateway_process

HEADERS = {"authorization": f"Bearer {ADMIN_KEY}"}


class Sender:
    """Sends batches one after the other, each again until it is accepted; keeps what was accepted and refused."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/v1/events"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.accepted: list[str] = []
        self.refusals: set[int] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def wait(self, until: Callable[[], bool]) -> None:
        for _ in range(600):
            if until():
                return
            self._stop.wait(0.1)
        raise AssertionError(f"waited in vain; refusals {self.refusals}, accepted {len(self.accepted)}")

    def _run(self) -> None:
        with httpx.Client(headers=HEADERS, timeout=30) as client:
            batch = 0
            while not self._stop.is_set():
                ids = [f"{batch}-{i}" for i in range(50)]
                answer = client.post(self._url, json=[self._event(event_id) for event_id in ids])
                if answer.status_code == 200:
                    self.accepted += ids
                    batch += 1
                else:
                    self.refusals.add(answer.status_code)
                    self._stop.wait(0.2)

    @staticmethod
    def _event(event_id: str) -> dict[str, str | int]:
        return {
            "event_id": event_id,
            "occurred_at": "2026-10-01T12:30:00Z",
            "tenant_id": "acme",
            "provider": "openai",
            "model": "gpt-4o",
            "prompt_tokens": 1,
        }


def test_accepted_events_survive_the_death_of_the_broker(database: str, tmp_path: Path) -> None:
    with temporary_home() as home:
        backends = EmbeddedBackends(home, postgres=False)
        try:
            bootstrap = backends.start().kafka_bootstrap
            ensure_topics(bootstrap)
            settings = GatewaySettings(
                kafka_bootstrap=bootstrap, database_dsn=SecretStr(database), gateway_delivery_timeout_ms=2_000
            )
            with gateway_process(settings, tmp_path / "gateway.log") as url, Sender(url) as sender:
                sender.wait(lambda: len(sender.accepted) > 500)
                backends.processes["kafka"].kill()
                sender.wait(lambda: bool(sender.refusals))
                before = len(sender.accepted)
                backends.stop()
                assert backends.start().kafka_bootstrap == bootstrap
                sender.wait(lambda: len(sender.accepted) > before + 500)
            assert sender.refusals == {503}
            topic = UsageTopic(bootstrap, settings.usage_topic, from_start=True)
            stored = topic.event_ids()
            topic.close()
        finally:
            backends.stop()
    assert set(sender.accepted) <= set(stored)
