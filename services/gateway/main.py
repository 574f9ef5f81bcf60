"""Builds the gateway and runs it until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import grpc
import structlog
import uvicorn
from fastapi import FastAPI
from psycopg_pool import AsyncConnectionPool

from services.gateway.body import ReceivingBudget
from services.gateway.coalescing import Coalescer
from services.gateway.grpc_door import UsageDoor, announce_serving, make_server
from services.gateway.http_app import make_app
from services.gateway.ingest import Ingest, Limits
from services.gateway.kafka import KafkaProducer, producer_config
from services.gateway.readiness import Readiness
from services.gateway.settings import GatewaySettings
from services.runtime.configured import read_settings
from services.runtime.http_server import CarefulProtocol
from services.runtime.keys import KeyStore
from services.runtime.logs import configure_logging
from services.runtime.rates import RateLimit
from services.runtime.request_ids import RequestIds

log = structlog.get_logger(__name__)

# For each of three in turn: HTTP, gRPC, what is on its way to Kafka.
_STOP_SECONDS = 3.0
_HTTP_CONNECTIONS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway: where it listens, and what is set when it can't go on."""

    http_port: int
    grpc_port: int
    failed: asyncio.Future[str]


class PortTaken(Exception):
    """A port that was asked for can't be listened on."""


@asynccontextmanager
async def running(settings: GatewaySettings) -> AsyncIterator[Gateway]:
    """A gateway serving both doors until the block ends; raises PortTaken."""
    pool = AsyncConnectionPool(
        settings.database_dsn.get_secret_value(), min_size=1, max_size=4, timeout=2.0, open=False
    )
    producer = KafkaProducer(
        producer_config(
            settings.kafka_bootstrap,
            settings.gateway_delivery_timeout_ms,
            settings.gateway_queue_bytes_max,
            settings.kafka_security,
        ),
        settings.usage_topic,
    )
    keys = KeyStore(pool, settings.admin_key.get_secret_value() if settings.admin_key else None)
    coalescer = Coalescer(producer.send, settings.gateway_linger_ms / 1_000, settings.gateway_queue_bytes_max)
    limits = Limits(
        RateLimit(settings.gateway_key_requests_per_second),
        RateLimit(settings.gateway_key_events_per_second),
        RateLimit(settings.unknown_keys_per_minute / 60, burst_seconds=60),
    )
    ingest = Ingest(keys, coalescer, limits)
    budget = ReceivingBudget(settings.gateway_receiving_bytes_max)
    readiness = Readiness(producer.is_ready, pool)
    try:
        await pool.open()  # connects in the background: the doors open without a database too
        async with (
            _grpc(UsageDoor(ingest, budget), settings) as grpc_port,
            _http(make_app(ingest, budget, readiness.why_not), settings) as http_port,
        ):
            yield Gateway(http_port, grpc_port, producer.failed)
    finally:
        ingest.close()
        await producer.close(_STOP_SECONDS)
        await pool.close()


@asynccontextmanager
async def _grpc(door: UsageDoor, settings: GatewaySettings) -> AsyncIterator[int]:
    server, health = make_server(door)
    address = f"{settings.gateway_host}:{settings.grpc_port}"
    try:
        if settings.gateway_tls_key is None or settings.gateway_tls_certificate is None:
            port = server.add_insecure_port(address)
        else:
            pair = (settings.gateway_tls_key.read_bytes(), settings.gateway_tls_certificate.read_bytes())
            port = server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
    except RuntimeError:
        raise PortTaken(f"SPENDSTREAM_GRPC_PORT {settings.grpc_port} can't be listened on; is it in use?") from None
    await server.start()
    await announce_serving(health)
    try:
        yield port
    finally:
        await health.enter_graceful_shutdown()
        await server.stop(_STOP_SECONDS)


class _Server(uvicorn.Server):
    """Says when it listens; leaves signals to `serve`, because both doors and the producer end together."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def _http(app: FastAPI, settings: GatewaySettings) -> AsyncIterator[int]:
    family = socket.AF_INET6 if ":" in settings.gateway_host else socket.AF_INET
    # The protocol is named because asyncio turns Nagle's delay off only where it is: 40 ms an answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.gateway_host, settings.gateway_port))
    except OSError as error:
        listener.close()
        raise PortTaken(
            f"SPENDSTREAM_GATEWAY_PORT {settings.gateway_port} can't be listened on: {error.strerror}"
        ) from None
    config = uvicorn.Config(
        RequestIds(app),
        http=CarefulProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ssl_certfile=settings.gateway_tls_certificate,
        ssl_keyfile=settings.gateway_tls_key,
        limit_concurrency=_HTTP_CONNECTIONS_MAX,
        timeout_graceful_shutdown=int(_STOP_SECONDS),
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await server.listening.wait()
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await serving
        listener.close()


async def serve(settings: GatewaySettings) -> int:
    """Runs until SIGINT or SIGTERM; the exit code."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signal_number, stop.set)
    async with running(settings) as gateway:
        log.info("gateway_ready", http_port=gateway.http_port, grpc_port=gateway.grpc_port)
        gateway.failed.add_done_callback(lambda _: stop.set())
        await stop.wait()
        if gateway.failed.done():
            log.error("gateway_failed", error=gateway.failed.result())
            return 1
        return 0


def main() -> int:
    """The process: settings from the environment, logs to stderr."""
    settings = read_settings(GatewaySettings)
    if settings is None:
        return 2
    configure_logging("gateway", settings.log_level)
    try:
        return asyncio.run(serve(settings))
    except PortTaken as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
