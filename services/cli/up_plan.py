"""What `spendstream up` runs and says: ports, services with their environment, the banner. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.runtime.supervision import Stage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# The ports tried first; each moves up when it is busy and nobody asked for it.
DEFAULT_PORTS: Mapping[str, int] = {
    "query": 8000,
    "gateway": 8080,
    "grpc": 50051,
    "processor": 9101,
    "alerting": 9102,
    "demo": 8090,
}


@dataclass(frozen=True, slots=True)
class Ports:
    """TCP ports on the loopback interface. `processor` and `alerting` serve health and metrics only."""

    query: int
    gateway: int
    grpc: int
    processor: int
    alerting: int
    demo: int


@dataclass(frozen=True, slots=True)
class Connections:
    """What every service needs to know; secret."""

    database_dsn: str
    kafka_bootstrap: str
    admin_key: str
    session_secret: str
    # Signs what generic webhooks are sent.
    webhook_secret: str
    # Seals the webhooks' addresses in the database.
    address_key: str
    slack_webhook: str | None


@dataclass(frozen=True, slots=True)
class Service:
    """A Python module that runs as a child; ready when `/readyz` on `ready_port` says so (None: at once)."""

    name: str
    module: str
    stage: Stage
    ready_port: int | None
    may_end: bool = False


def query_url(ports: Ports) -> str:
    return f"http://127.0.0.1:{ports.query}"


def gateway_url(ports: Ports) -> str:
    return f"http://127.0.0.1:{ports.gateway}"


def demo_url(ports: Ports) -> str:
    return f"http://127.0.0.1:{ports.demo}"


def services(ports: Ports) -> tuple[Service, ...]:
    return (
        Service("gateway", "services.gateway.main", Stage.DOORS, ports.gateway),
        Service("processor", "services.processor.main", Stage.PROCESSOR, ports.processor),
        Service("query", "services.query.main", Stage.QUERY, ports.query),
        Service("alerting", "services.alerting.main", Stage.ALERTING, ports.alerting),
    )


def demo_service() -> Service:
    return Service("demo", "services.cli.demo", Stage.DEMO, ready_port=None, may_end=True)


def environment(ports: Ports, connections: Connections, home: Path, *, demo: bool) -> dict[str, str]:
    """The settings of all children; what isn't here they take from the surrounding environment or their defaults."""
    settings = {
        "DATABASE_DSN": connections.database_dsn,
        "KAFKA_BOOTSTRAP": connections.kafka_bootstrap,
        "ADMIN_KEY": connections.admin_key,
        "SESSION_SECRET": connections.session_secret,
        "WEBHOOK_SECRET": connections.webhook_secret,
        "ADDRESS_KEY": connections.address_key,
        "QUERY_PORT": str(ports.query),
        "GATEWAY_PORT": str(ports.gateway),
        "GRPC_PORT": str(ports.grpc),
        "PROCESSOR_PORT": str(ports.processor),
        # One worker on one data folder: after a crash its successor takes over at once.
        "PROCESSOR_INSTANCE": "up",
        "ALERTING_PORT": str(ports.alerting),
        "DEMO_PORT": str(ports.demo),
        "QUERY_URL": query_url(ports),
        "PUBLIC_URL": query_url(ports),
        "GATEWAY_URL": gateway_url(ports),
        "HOME": str(home),
    }
    if connections.slack_webhook is not None:
        settings["SLACK_WEBHOOK"] = connections.slack_webhook
    elif demo:  # the demo's own receiver shows what Slack would get
        settings["SLACK_WEBHOOK"] = demo_url(ports) + "/slack"
        settings["ALLOW_PRIVATE_WEBHOOKS"] = "127.0.0.1"
    return {f"SPENDSTREAM_{name}": value for name, value in settings.items()}


def running_record(ports: Ports, connections: Connections, pid: int, *, demo: bool) -> dict[str, object]:
    """What other commands find in `running.json`."""
    urls = {"query": query_url(ports), "gateway": gateway_url(ports), "grpc": f"127.0.0.1:{ports.grpc}"}
    return {
        "pid": pid,
        "urls": urls | ({"demo": demo_url(ports)} if demo else {}),
        "admin_key": connections.admin_key,
        "kafka_bootstrap": connections.kafka_bootstrap,
        "database_dsn": connections.database_dsn,
    }


def banner(ports: Ports, sign_in_url: str, admin_key: str, home: Path, seconds: float, *, demo: bool) -> str:
    lines = [
        "",
        f"Spendstream is ready, after {seconds:.1f} s.",
        "",
        f"  Open      {sign_in_url}",
        f"  API       {query_url(ports)}/docs",
        f"  Send to   {gateway_url(ports)}/v1/events   or gRPC 127.0.0.1:{ports.grpc}",
        f"  Admin key {admin_key}",
    ]
    if demo:
        lines.append(f"  Slack     {demo_url(ports)}/   (what the demo's alerts would say there)")
    lines += [
        f"  Data      {home}   (logs are in {home.name}/logs)",
        "",
        "Ctrl-C stops it; the data is kept.",
        "",
    ]
    return "\n".join(lines)


def moved_ports(ports: Ports, asked: frozenset[str]) -> list[str]:
    """A line for each port of interest that had to move."""
    return [
        f"Port {DEFAULT_PORTS[name]} is in use, so {what} is at {getattr(ports, name)}."
        for name, what in (("query", "the page"), ("gateway", "the HTTP door"), ("grpc", "the gRPC door"))
        if name not in asked and getattr(ports, name) != DEFAULT_PORTS[name]
    ]
