"""The query service on a real database with counted events, and a browser that looks at it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, ConsoleMessage, Page
from psycopg_pool import AsyncConnectionPool
from pydantic import SecretStr

from services.contracts.keys import Principal
from services.contracts.signin import OPERATOR, make_signin_token
from services.query.app import build_app
from services.query.main import build_parts
from services.query.parts import QueryParts
from services.query.settings import QuerySettings
from services.runtime.embedded.backends import Backends
from services.runtime.keys import KeyStore
from services.runtime.sealing import make_sealing_key
from tests.backends import fresh_database
from tests.e2e.pages.counted import count_events
from tests.e2e.pages.story import story

SECRET = "the secret of the pages' sessions"
_START_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Site:
    """A running query service."""

    url: str
    dsn: str

    def sign_in_link(self, principal: Principal = OPERATOR) -> str:
        return f"{self.url}/sign-in?token={make_signin_token(SECRET, datetime.now(UTC), principal)}"


@dataclass
class Visitor:
    """A signed-in browser tab. `complaints` are what its console says: violations of the policy, failures, errors."""

    page: Page
    site: Site
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        self.page.goto(self.site.url + path)
        return self.page


@contextmanager
def running_site(parts: QueryParts, dsn: str, port: int = 0) -> Iterator[Site]:
    server = uvicorn.Server(
        uvicorn.Config(
            build_app(parts),
            host="127.0.0.1",
            port=port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
    )
    thread = threading.Thread(target=server.run, name="query", daemon=True)
    thread.start()
    deadline = time.monotonic() + _START_SECONDS
    while not server.started:
        assert thread.is_alive() and time.monotonic() < deadline, "the query service did not start"
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Site(f"http://127.0.0.1:{port}", dsn)
    finally:
        server.should_exit = True
        thread.join(15)


def parts_for(dsn: str) -> QueryParts:
    return build_parts(
        QuerySettings(
            database_dsn=SecretStr(dsn), session_secret=SecretStr(SECRET), address_key=SecretStr(make_sealing_key())
        )
    )


@pytest.fixture(scope="session")
def site(backends: Backends) -> Iterator[Site]:
    """With the story of `tests.e2e.pages.story` counted."""
    now = datetime.now(UTC)
    with fresh_database(backends.database_dsn) as dsn:
        count_events(dsn, story(now), now)
        with running_site(parts_for(dsn), dsn) as running:
            yield running


@pytest.fixture(scope="session")
def empty_site(backends: Backends) -> Iterator[Site]:
    """Nothing was ever sent."""
    with fresh_database(backends.database_dsn) as dsn, running_site(parts_for(dsn), dsn) as running:
        yield running


@pytest.fixture(scope="session")
def broken_site(backends: Backends) -> Iterator[Site]:
    """Its database does not answer."""
    dsn = "postgresql://nobody@127.0.0.1:1/nothing?connect_timeout=1"
    settings = QuerySettings(database_dsn=SecretStr(dsn), session_secret=SecretStr(SECRET))

    def pool() -> AsyncConnectionPool[Any]:
        return AsyncConnectionPool(dsn, min_size=0, max_size=1, timeout=0.3, open=False)

    writes = pool()
    parts = replace(build_parts(settings), reads=pool(), writes=writes, keys=KeyStore(writes, None))
    with running_site(parts, dsn) as running:
        yield running


Visit = Callable[..., Visitor]


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Signs in to a site; whatever the browser's console complains about fails the test."""
    visitors: list[Visitor] = []

    def signed_in(site: Site, principal: Principal = OPERATOR, *, width: int = 1440, dark: bool = False) -> Visitor:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light", reduced_motion="reduce"
        )
        visitor = Visitor(context.new_page(), site)

        def note(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                visitor.complaints.append(message.text)

        visitor.page.on("console", note)
        visitor.page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
        visitor.page.goto(site.sign_in_link(principal))
        visitors.append(visitor)
        return visitor

    yield signed_in
    for visitor in visitors:
        visitor.page.context.close()
    complaints = [complaint for visitor in visitors for complaint in visitor.complaints]
    assert not complaints, complaints


@pytest.fixture
def send(site: Site) -> Callable[[list[dict[str, Any]]], int]:
    """Counts more events in the site's database, as a processor would while people look on."""

    def counted(events: list[dict[str, Any]]) -> int:
        return count_events(site.dsn, events, datetime.now(UTC) + timedelta(seconds=1))

    return counted
