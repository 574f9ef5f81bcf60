"""A query service in this process on a real database, and people who ask it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import SecretStr

from services.query.app import build_app
from services.query.main import build_parts
from services.query.settings import QuerySettings
from services.runtime.sealing import Sealer, make_sealing_key

ADMIN_KEY = "sps_admin_of_the_tests_0123456789"
SECRET = "the secret of the tests' sessions"


@dataclass(frozen=True)
class Service:
    """`ask` sends one request; key None sends none."""

    app: FastAPI
    client: httpx.AsyncClient

    async def ask(
        self,
        method: str,
        path: str,
        key: str | None = ADMIN_KEY,
        **more: Any,  # noqa: ANN401
    ) -> httpx.Response:
        headers = {**({"authorization": f"Bearer {key}"} if key else {}), **more.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, **more)

    def opened(self, stored: str) -> str:
        """What a sealed address says."""
        key = self.app.state.parts.settings.address_key
        return Sealer(key.get_secret_value()).open(stored)

    async def get(self, path: str, key: str | None = ADMIN_KEY, **parameters: Any) -> httpx.Response:  # noqa: ANN401
        return await self.ask("GET", path, key, params=parameters)

    async def new_key(self, role: str, tenant_id: str | None) -> dict[str, str]:
        made = await self.ask("POST", "/api/v1/keys", json={"role": role, "tenant_id": tenant_id, "name": "test"})
        assert made.status_code == 201, made.text
        found: dict[str, str] = made.json()["data"]
        return found

    def routes(self) -> list[APIRoute]:
        """Every route there is, so that no test forgets a new one."""
        return list(_routes(self.app.routes))


def _routes(routes: Iterable[Any]) -> Iterator[APIRoute]:
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from _routes(inner.routes)
        elif isinstance(route, APIRoute):
            yield route


@asynccontextmanager
async def running_service(dsn: str, **more: Any) -> AsyncIterator[Service]:  # noqa: ANN401
    settings = QuerySettings(
        database_dsn=SecretStr(dsn),
        admin_key=SecretStr(ADMIN_KEY),
        session_secret=SecretStr(SECRET),
        address_key=SecretStr(make_sealing_key()),
        **more,
    )
    app = build_app(build_parts(settings))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://query.test", timeout=30) as client,
    ):
        yield Service(app, client)


@pytest.fixture
async def service(database: str) -> AsyncIterator[Service]:
    async with running_service(database) as running:
        yield running
