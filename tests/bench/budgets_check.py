"""`python -m tests.bench.budgets_check`: how long `GET /api/v1/budgets/check` takes at a steady rate.

A query service of its own on a fresh database with calls and budgets; requests leave at fixed moments whether or not
the ones before were answered, over kept-alive connections, so that a slow answer is not hidden by a client that waits.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from deploy.timescale.rollup_ddl import refresh_plain
from services.contracts.rollups import LEVEL_SECONDS, USAGE
from tests.backends import fresh_database, running_backends

_KEY = "sps_admin_of_the_bench_0123456789"
_CONNECTIONS = 16
_TENANTS = 20


def _fill(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        for number in range(_TENANTS):
            tenant_id = f"tenant-{number}"
            row = connection.execute(
                "INSERT INTO tenant (tenant_id, name) VALUES (%s, %s) RETURNING tenant_no", [tenant_id, tenant_id]
            ).fetchone()
            assert row is not None
            connection.execute(
                "INSERT INTO usage_minute_base (bucket, tenant_no, kafka_partition, feature, agent_id, provider, "
                "model, tier, service_tier, status, calls, requests, billed_pico_usd) "
                "SELECT %s - minute * INTERVAL '1 minute', %s, 0, 'chat', 'agent-' || agent, 'openai', 'gpt-4o', "
                "'standard', 'standard', 'ok', 1, 1, 1000000000 "
                "FROM generate_series(0, 1500) AS minute, generate_series(0, 3) AS agent",
                [now, row[0]],
            )
            for agent in range(4):
                for window in ("daily", "monthly"):
                    connection.execute(
                        "INSERT INTO budget (tenant_id, scope, budget_window, limit_pico_usd) VALUES (%s, %s, %s, %s)",
                        [tenant_id, Jsonb({"agent_id": f"agent-{agent}"}), window, 10**12],
                    )

        _materialize(connection, now)


def _materialize(connection: psycopg.Connection[Any], now: datetime) -> None:
    """As the refresher leaves it a while later: closed buckets are built."""
    closed = now.replace(minute=now.minute // 15 * 15)
    start = closed.replace(hour=0, minute=0) - timedelta(days=2)
    for level in USAGE.levels[1:]:
        step = timedelta(seconds=LEVEL_SECONDS[level])
        buckets = [start + step * number for number in range((closed - start) // step)]
        for statement in refresh_plain(USAGE, level):
            connection.execute(statement.encode(), {"buckets": buckets})
    connection.execute("UPDATE rollup_state SET closed_through = %s, materialized_through = %s", [closed, closed])


@contextlib.contextmanager
def _service(dsn: str) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    environment = {
        **os.environ,
        "SPENDSTREAM_DATABASE_DSN": dsn,
        "SPENDSTREAM_ADMIN_KEY": _KEY,
        "SPENDSTREAM_SESSION_SECRET": "the secret of the bench's sessions",
        "SPENDSTREAM_QUERY_PORT": str(port),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "services.query.main"], env=environment, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1)
                break
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(10)


async def _load(port: int, rate: int, seconds: float) -> list[float]:
    """Latencies in seconds from the moment each was due."""
    due: asyncio.Queue[float | None] = asyncio.Queue()
    latencies: list[float] = []

    async def connection(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (moment := await due.get()) is not None:
            path = (
                f"/api/v1/budgets/check?tenant_id=tenant-{number % _TENANTS}&agent_id=agent-1&estimated_cost_usd=0.01"
            )
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {_KEY}\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line)
            body = json.loads(await reader.readexactly(length))
            assert head.startswith(b"HTTP/1.1 200"), head
            assert body["data"]["status"] in ("ok", "warning", "exceeded")
            latencies.append(time.perf_counter() - moment)
        writer.close()

    workers = [asyncio.create_task(connection(number)) for number in range(_CONNECTIONS)]
    started = time.perf_counter()
    for number in range(int(rate * seconds)):
        moment = started + number / rate
        if moment > time.perf_counter():
            await asyncio.sleep(moment - time.perf_counter())
        due.put_nowait(moment)
    for _ in workers:
        due.put_nowait(None)
    await asyncio.gather(*workers)
    return latencies


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.budgets_check")
    parser.add_argument("--rate", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=20.0)
    asked = parser.parse_args()
    with running_backends() as backends, fresh_database(backends.database_dsn) as dsn:
        _fill(dsn)
        with _service(dsn) as port:
            asyncio.run(_load(port, asked.rate, 2.0))  # imports and connections
            latencies = asyncio.run(_load(port, asked.rate, asked.seconds))
    ordered = sorted(latencies)
    print("| requests | a second | p50 ms | p99 ms | p99.9 ms | max ms |\n|---|---|---|---|---|---|")
    figures = [ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1e3 for share in (0.5, 0.99, 0.999, 1)]
    print(f"| {len(ordered)} | {asked.rate} | " + " | ".join(f"{figure:.1f}" for figure in figures) + " |")


if __name__ == "__main__":
    main()
