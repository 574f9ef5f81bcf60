"""`spendstream up`: a whole Spendstream on this machine, with its own broker and database unless others are named."""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn

import click
from pydantic import SecretStr, ValidationError

from services.cli.running import FILE_NAME
from services.cli.up_plan import (
    DEFAULT_PORTS,
    Connections,
    Ports,
    Service,
    banner,
    demo_service,
    environment,
    moved_ports,
    query_url,
    running_record,
    services,
)
from services.cli.up_settings import UpSettings
from services.contracts.keys import make_key
from services.contracts.signin import make_signin_token
from services.runtime.children import Process, spawn
from services.runtime.embedded.backends import Backends, EmbeddedBackends
from services.runtime.embedded.home import Home, HomeError, write_private
from services.runtime.embedded.jars import JarsError
from services.runtime.embedded.ports import PortTaken, choose_port
from services.runtime.embedded.startup import StartError
from services.runtime.readiness import answers_ok, waits_for_operator
from services.runtime.sealing import make_sealing_key
from services.runtime.supervision import Stage
from services.runtime.supervisor import Child, ChildFailed, Supervisor

if TYPE_CHECKING:
    from types import FrameType

_READY_SECONDS_MAX = 60.0
_EXPECTED = (HomeError, JarsError, PortTaken, StartError, ChildFailed)


class StopRequested(BaseException):
    """Ctrl-C or SIGTERM came. Not an Exception: nothing on the way may take it for an error of its own."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Where everything is, as JSON on stdout, once it is ready.")
def up(as_json: bool) -> None:
    """Run everything: broker, database, services and the demo, until Ctrl-C."""
    started_at = time.monotonic()
    if as_json:
        sys.stdout = sys.stderr  # all that is said on the way; the one document goes out past it
    try:
        settings = UpSettings()
    except ValidationError as error:
        raise click.ClickException(_explain(error)) from None
    supervisor = Supervisor(say=_say)
    _install_signal_handlers(supervisor)
    try:
        with ExitStack() as stack:
            _bring_up(settings, supervisor, stack, started_at, as_json=as_json)
            supervisor.run()
    except StopRequested:
        _say("Stopped. The data is kept.")
    except _EXPECTED as error:
        raise click.ClickException(str(error)) from error


def _bring_up(
    settings: UpSettings, supervisor: Supervisor, stack: ExitStack, started_at: float, *, as_json: bool
) -> None:
    home = stack.enter_context(Home(settings.home_path))
    (home.path / FILE_NAME).unlink(missing_ok=True)
    ports = _choose_ports(settings)
    asked = frozenset(name for name in DEFAULT_PORTS if _asked_port(settings, name) is not None)
    for line in moved_ports(ports, asked):
        _say(line)
    backends = _start_backends(settings, home, supervisor, stack)
    _prepare(backends, settings)
    connections = _connections(settings, home, backends)
    _say("Starting the services")
    child_environment = {**os.environ, **environment(ports, connections, home.path, demo=settings.demo)}
    for service in services(ports):
        supervisor.add(_child(service, child_environment, home))
    supervisor.wait_ready(_READY_SECONDS_MAX)
    if settings.demo:
        supervisor.add(_child(demo_service(), child_environment, home))
    record = running_record(ports, connections, os.getpid(), demo=settings.demo)
    write_private(home.path / FILE_NAME, json.dumps(record, indent=2))
    stack.callback((home.path / FILE_NAME).unlink, missing_ok=True)
    seconds = time.monotonic() - started_at
    link = _sign_in_url(ports, connections)
    if as_json:
        shown = {name: value for name, value in record.items() if name != "database_dsn"}
        print(json.dumps({**shown, "sign_in_url": link, "home": str(home.path)}), file=sys.__stdout__, flush=True)
    else:
        _say(banner(ports, link, connections.admin_key, home.path, seconds, demo=settings.demo))


def _sign_in_url(ports: Ports, connections: Connections) -> str:
    return f"{query_url(ports)}/sign-in?token={make_signin_token(connections.session_secret, datetime.now(UTC))}"


def _choose_ports(settings: UpSettings) -> Ports:
    chosen: dict[str, int] = {}
    for name, default in DEFAULT_PORTS.items():
        setting = f"SPENDSTREAM_{name.upper()}_PORT"
        asked = _asked_port(settings, name)
        if asked in chosen.values():
            raise PortTaken(f"Port {asked} is asked for twice; {setting} is one of the settings that name it.")
        chosen[name] = choose_port(default, asked, setting, taken=chosen.values())
    return Ports(**chosen)


def _asked_port(settings: UpSettings, name: str) -> int | None:
    asked: int | None = getattr(settings, f"{name}_port")
    return asked


def _start_backends(settings: UpSettings, home: Home, supervisor: Supervisor, stack: ExitStack) -> Backends:
    """Start what isn't given. The supervisor takes the children over: it stops them, and restarts a crashed one."""
    dsn = _given(settings.database_dsn)
    embedded = EmbeddedBackends(home, kafka=settings.kafka_bootstrap is None, postgres=dsn is None)
    stack.callback(embedded.stop)  # of use when the start is interrupted; later there is nothing left to stop
    stack.callback(_stop, supervisor)
    _say(f"Starting {_names(settings)} in {home.path}")
    started = embedded.start()
    if embedded.postgres is not None and embedded.postgres.folder.parent != home.path.resolve():
        _say(f"The database's files are in {embedded.postgres.folder}: its own user can't reach {home.path}")
    for name, stage, stop_signal in (
        ("kafka", Stage.BROKER, signal.SIGTERM),
        ("postgres", Stage.DATABASE, signal.SIGINT),
    ):
        if name in embedded.processes:
            part = getattr(embedded, name)
            child = Child(name, stage, part.relaunch, part.log, stop_signal=stop_signal, grace_seconds=20.0)
            supervisor.add(child, embedded.processes[name])
    return Backends(settings.kafka_bootstrap or started.kafka_bootstrap, dsn or started.database_dsn)


def _names(settings: UpSettings) -> str:
    parts = [
        name
        for name, given in (("Kafka", settings.kafka_bootstrap), ("PostgreSQL", settings.database_dsn))
        if given is None
    ]
    return " and ".join(parts) or "no backend of its own"


def _prepare(backends: Backends, settings: UpSettings) -> None:
    # Imported here: they take a while, and so the broker's start isn't held up.
    from deploy.timescale.migrate import migrate
    from services.runtime.topics import ensure_topics

    _say("Bringing the database and the topics up to date")
    migrate(backends.database_dsn)
    ensure_topics(backends.kafka_bootstrap, security=settings.kafka_security)


def _connections(settings: UpSettings, home: Home, backends: Backends) -> Connections:
    """With the secrets that are given; those that aren't are made up once and kept with the data."""
    return Connections(
        database_dsn=backends.database_dsn,
        kafka_bootstrap=backends.kafka_bootstrap,
        admin_key=_given(settings.admin_key) or home.secret("admin_key", make_key),
        session_secret=_given(settings.session_secret) or home.secret("session_secret"),
        webhook_secret=_given(settings.webhook_secret) or home.secret("webhook_secret", _make_webhook_secret),
        address_key=_given(settings.address_key) or home.secret("address_key", make_sealing_key),
        slack_webhook=_given(settings.slack_webhook),
    )


def _make_webhook_secret() -> str:
    """As Standard Webhooks write one."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def _given(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None


def _child(service: Service, child_environment: dict[str, str], home: Home) -> Child:
    log = home.logs / f"{service.name}.log"

    def start() -> Process:
        with log.open("ab") as output:
            return spawn([sys.executable, "-m", service.module], output=output, environment=child_environment)

    def is_ready() -> bool:
        port = service.ready_port
        # A halted processor must not keep the rest from starting: the command that resumes it needs the database.
        return port is None or answers_ok(port) or waits_for_operator(port)

    ready = is_ready if service.ready_port is not None else None
    return Child(service.name, service.stage, start, log, is_ready=ready, may_end=service.may_end)


def _stop(supervisor: Supervisor) -> None:
    _say("Stopping")
    supervisor.stop()


def _install_signal_handlers(supervisor: Supervisor) -> None:
    """The first signal asks for a stop in order, a second one ends everything at once."""
    seen = False

    def on_signal(number: int, _frame: FrameType | None) -> None:
        nonlocal seen
        if seen:
            _end_now(supervisor, number)
        seen = True
        raise StopRequested

    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, on_signal)


def _end_now(supervisor: Supervisor, number: int) -> NoReturn:
    supervisor.kill()
    os._exit(128 + number)


def _say(line: str) -> None:
    try:
        print(line, flush=True)
    except OSError:  # the terminal is gone; what is being done matters more than what is said
        pass


def _explain(error: ValidationError) -> str:
    return "\n".join(
        f"SPENDSTREAM_{str(each['loc'][0]).upper()}: {each['msg']}" for each in error.errors(include_input=False)
    )
