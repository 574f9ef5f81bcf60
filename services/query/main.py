"""The query service: `python -m services.query.main`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

import uvicorn
from psycopg_pool import AsyncConnectionPool

from pricing.book import load_book
from services.query.app import build_app
from services.query.parts import QueryParts
from services.query.read.session import STATEMENT_SECONDS_MAX
from services.query.settings import CONNECTIONS_MAX, QuerySettings
from services.runtime.configured import read_settings
from services.runtime.http_server import CarefulProtocol
from services.runtime.keys import KeyStore
from services.runtime.logs import configure_logging
from services.runtime.rates import RateLimit
from services.runtime.request_ids import RequestIds

_POOL_WAIT_SECONDS = 10.0


def build_parts(settings: QuerySettings) -> QueryParts:
    """Pools are made here and opened by the app."""
    reads = _pool(settings, settings.query_read_connections_max)
    writes = _pool(settings, settings.query_write_connections_max)
    admin_key = settings.admin_key.get_secret_value() if settings.admin_key else None
    return QueryParts(
        settings, reads, writes, KeyStore(writes, admin_key), lambda: datetime.now(UTC), load_book(settings.price_book),
        requests=RateLimit(settings.query_key_requests_per_second),
        unknown_keys=RateLimit(settings.unknown_keys_per_minute / 60, burst_seconds=60),
    )  # fmt: skip


def _pool(settings: QuerySettings, connections_max: int) -> AsyncConnectionPool[Any]:
    # Planning a wide answer costs more than running it, and compiling it more than both. Workers of the database take
    # longer to start than most answers take to read; the few that read hundreds of thousands of rows still get them.
    options = (
        f"-c TimeZone=UTC -c statement_timeout={STATEMENT_SECONDS_MAX * 1_000} -c jit=off -c parallel_setup_cost=5000"
    )
    return AsyncConnectionPool(
        settings.database_dsn.get_secret_value(),
        min_size=1,
        max_size=connections_max,
        timeout=_POOL_WAIT_SECONDS,
        kwargs={"options": options, "application_name": "spendstream-query"},
        check=AsyncConnectionPool.check_connection,
        open=False,
    )


def main() -> int:
    """Serves until told to stop."""
    settings = read_settings(QuerySettings)
    if settings is None:
        return 2
    configure_logging("query", settings.log_level)
    uvicorn.run(
        RequestIds(build_app(build_parts(settings))),
        host=settings.query_host,
        port=settings.query_port,
        http=CarefulProtocol,
        limit_concurrency=CONNECTIONS_MAX,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=5,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
