"""Limits of rate and time at the query service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from services.query import edge
from tests.integration.query.conftest import ADMIN_KEY, Service, running_service
from tests.relay import Relay

SIGN_IN = {"sec-fetch-site": "same-origin", "content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def slow(database: str) -> AsyncIterator[Service]:
    """A key may ask five times at once and then every two seconds; an address may try three unknown keys."""
    limits = {"query_key_requests_per_second": 0.5, "unknown_keys_per_minute": 3}
    async with running_service(database, **limits) as running:
        yield running


def refused(answer: httpx.Response) -> str:
    assert answer.status_code == 429, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert 1 <= int(answer.headers["retry-after"]) <= 20
    said: str = answer.json()["detail"]
    return said


async def test_a_key_that_asks_too_often_is_told_when_to_come_again_and_others_go_on(slow: Service) -> None:
    viewer = await slow.new_key("viewer", "acme")
    for _ in range(5):
        assert (await slow.get("/api/v1/tenants", viewer["key"])).status_code == 200
    assert "0.5 times a second" in refused(await slow.get("/api/v1/tenants", viewer["key"]))
    assert (await slow.get("/api/v1/tenants")).status_code == 200
    assert (await slow.ask("GET", "/healthz", None)).status_code == 200


async def test_an_address_that_tries_many_unknown_keys_is_held_up_but_not_a_key_that_works(slow: Service) -> None:
    viewer = await slow.new_key("viewer", "acme")
    assert (await slow.get("/api/v1/tenants", viewer["key"])).status_code == 200
    statuses = [(await slow.get("/api/v1/tenants", f"sps_wrong-{number}")).status_code for number in range(2)]
    statuses.append((await slow.ask("POST", "/sign-in", None, content=b"key=sps_wrong", headers=SIGN_IN)).status_code)
    assert statuses == [401, 401, 401]
    assert "Too many keys" in refused(await slow.get("/api/v1/tenants", "sps_wrong"))
    page = await slow.ask("POST", "/sign-in", None, content=b"key=sps_wrong", headers=SIGN_IN)
    assert page.status_code == 429
    assert "Wait a moment" in page.text
    for key in (viewer["key"], ADMIN_KEY):
        assert (await slow.get("/api/v1/tenants", key)).status_code == 200


async def test_an_answer_that_takes_too_long_is_stopped(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "ANSWER_SECONDS_MAX", 0.2)
    parts = service.app.state.parts
    async with parts.writes.connection() as blocker:
        await blocker.execute("LOCK TABLE tenant")
        answer = await service.get("/api/v1/tenants")
    assert answer.status_code == 503
    assert "too long" in answer.json()["detail"]
    assert (await service.get("/healthz")).status_code == 200


async def test_a_body_that_does_not_come_is_said(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "BODY_SECONDS_MAX", 0.2)

    async def dawdling() -> AsyncIterator[bytes]:
        yield b'{"role":'
        await asyncio.sleep(5)
        yield b'"viewer"}'

    answer = await service.ask("POST", "/api/v1/keys", content=dawdling())
    assert answer.status_code == 408
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_database_that_falls_silent_is_said_before_a_probe_gives_up(database: str) -> None:
    with Relay(database) as relay:
        async with running_service(relay.dsn) as service:
            assert (await service.ask("GET", "/readyz", None)).status_code == 200
            relay.answering.clear()
            asked_at = time.monotonic()
            answer = await service.ask("GET", "/readyz", None)
            # Probes wait for five seconds.
            assert time.monotonic() - asked_at < 4
            assert (answer.status_code, answer.json()["status"]) == (503, "database away")
            relay.answering.set()
            assert (await service.ask("GET", "/readyz", None)).status_code == 200
