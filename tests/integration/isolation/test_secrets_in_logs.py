"""No log line, whatever goes wrong, has a key, a password, a token or the address of a webhook."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from services.contracts.signin import make_signin_token
from services.runtime.embedded.backends import Backends
from tests.backends import FreshTopics, fresh_topics
from tests.integration.alerting.receiver import Answer, receiver
from tests.integration.alerting.watched import add_rule, add_spike
from tests.integration.processor.running import free_port, wait_until

ROOT = Path(__file__).resolve().parents[3]
ADMIN_KEY = "sps_secretadminkey_0123456789"
WRONG_KEY = "sps_secretwrongkey_0123456789"
SESSION_SECRET = "secretsessionsecret-0123456789-0123456789"
SIGNING_SECRET = "whsec_c2VjcmV0c2lnbmluZ3NlY3JldDAxMjM0NTY3ODk="
WEBHOOK_PATH = "/services/T0/B0/secretwebhookpath"
MAIL_PASSWORD = "secretmailpassword"
DATABASE_PASSWORD = "secretdatabasepassword"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """A database whose password can be looked for, a broker, and topics."""

    dsn: str
    bootstrap: str
    topics: FreshTopics

    def settings(self, **more: str) -> dict[str, str]:
        names = {
            "DATABASE_DSN": self.dsn,
            "KAFKA_BOOTSTRAP": self.bootstrap,
            "USAGE_TOPIC": self.topics.usage_events.name,
            "DEAD_LETTER_TOPIC": self.topics.dead_letter.name,
            "SPIKES_TOPIC": self.topics.spend_spikes.name,
            "CONSUMER_GROUP": self.topics.prefix,
            "ADMIN_KEY": ADMIN_KEY,
            "SESSION_SECRET": SESSION_SECRET,
            "WEBHOOK_SECRET": SIGNING_SECRET,
            "SMTP_URL": f"smtp://user:{MAIL_PASSWORD}@127.0.0.1:1",
            "ALLOW_PRIVATE_WEBHOOKS": "127.0.0.1",
            "LOG_LEVEL": "debug",
            **more,
        }
        own = {name: value for name, value in os.environ.items() if not name.startswith("SPENDSTREAM_")}
        return own | {f"SPENDSTREAM_{name}": value for name, value in names.items()}


@pytest.fixture
def around(database: str, backends: Backends) -> Iterator[Surroundings]:
    with fresh_topics(backends.kafka_bootstrap) as topics:
        yield Surroundings(database, backends.kafka_bootstrap, topics)


@contextmanager
def process(module: str, settings: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        command = [sys.executable, "-m", module]
        running = subprocess.Popen(command, cwd=ROOT, env=settings, stdout=output, stderr=output)
        try:
            yield running
        finally:
            running.terminate()
            try:
                running.wait(15)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()


def wait_ready(url: str) -> None:
    for _ in range(200):
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"{url} did not get ready")


def event() -> dict[str, object]:
    return {
        "event_id": os.urandom(8).hex(), "occurred_at": datetime.now(UTC).isoformat(), "tenant_id": "acme-corp",
        "provider": "openai", "model": "gpt-4o-mini", "prompt_tokens": 180, "completion_tokens": 70,
    }  # fmt: skip


def send_events(url: str, made_key: str) -> None:
    """Right, wrong and malformed, with every kind of key."""
    for key in (ADMIN_KEY, WRONG_KEY, made_key, made_key + "x"):
        for body in (event(), {"tenant_id": "acme-corp"}, [event(), event()]):
            httpx.post(f"{url}/v1/events", json=body, headers={"Authorization": f"Bearer {key}"})
    httpx.post(f"{url}/v1/events?key={made_key}", content=b"{", headers={"Authorization": f"Basic {made_key}"})


def ask(url: str, token: str, made_key: str) -> str:
    """What browsers and scripts ask, well and badly; the session cookie."""
    with httpx.Client(base_url=url) as client:
        client.get("/sign-in", params={"token": token})
        cookie = next(iter(client.cookies.values()), "")
        for path in ("/", "/keys", "/alerts", f"/api/v1/costs?key={made_key}", "/api/v1/costs?from=x"):
            client.get(path)
        for key in (ADMIN_KEY, WRONG_KEY, made_key):
            client.get("/api/v1/keys", headers={"Authorization": f"Bearer {key}"})
        client.post("/sign-in", data={"key": WRONG_KEY})
    return cookie


def new_key(url: str) -> str:
    made = httpx.post(
        f"{url}/api/v1/keys", json={"role": "ingest", "tenant_id": "acme-corp", "name": "test"},
        headers={"Authorization": f"Bearer {ADMIN_KEY}"},
    )  # fmt: skip
    assert made.status_code == 201, made.text
    return str(made.json()["data"]["key"])


def test_no_log_of_any_service_has_a_secret(around: Surroundings, tmp_path: Path) -> None:
    gateway_port, query_port, processor_port = free_port(), free_port(), free_port()
    gateway, query = f"http://127.0.0.1:{gateway_port}", f"http://127.0.0.1:{query_port}"
    ports = {"GATEWAY_PORT": str(gateway_port), "GRPC_PORT": "0", "QUERY_PORT": str(query_port), "ALERTING_PORT": "0"}
    ports |= {"PROCESSOR_PORT": str(processor_port)}
    token = make_signin_token(SESSION_SECRET, datetime.now(UTC))
    with receiver(lambda _: Answer(500, b"no")) as refusing:
        settings = around.settings(**ports, SLACK_WEBHOOK=refusing.url + WEBHOOK_PATH)
        with psycopg.connect(around.dsn, autocommit=True) as owner:
            owner.execute("INSERT INTO tenant (tenant_id, name) VALUES ('acme-corp', 'acme')")
            add_rule(owner)
            with (
                process("services.gateway.main", settings, tmp_path / "gateway.log"),
                process("services.query.main", settings, tmp_path / "query.log"),
                process("services.alerting.main", settings, tmp_path / "alerting.log"),
                process("services.processor.main", settings, tmp_path / "processor.log"),
            ):
                wait_ready(gateway)
                wait_ready(query)
                made_key = new_key(query)
                send_events(gateway, made_key)
                cookie = ask(query, token, made_key)
                add_spike(owner, "spiky", datetime.now(UTC))
                for _ in range(100):
                    if refusing.requests:
                        break
                    time.sleep(0.1)
                assert refusing.requests, "the alert was tried"
                # Their connections are cut: what drivers say of that is logged too.
                owner.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                    "AND pid <> pg_backend_pid()"
                )
                send_events(gateway, made_key)
                time.sleep(1)
    secrets = {
        ADMIN_KEY, WRONG_KEY, made_key, SESSION_SECRET, SIGNING_SECRET, WEBHOOK_PATH, MAIL_PASSWORD,
        str(conninfo_to_dict(around.dsn)["password"]), token, cookie,
    } - {""}  # fmt: skip
    assert_none(tmp_path, secrets)


def test_services_that_cannot_start_say_why_without_their_secrets(around: Surroundings, tmp_path: Path) -> None:
    unreachable = f"postgresql://someone:{DATABASE_PASSWORD}@127.0.0.1:1/nowhere"
    settings = around.settings(
        DATABASE_DSN=unreachable, KAFKA_BOOTSTRAP="127.0.0.1:1", SLACK_WEBHOOK=f"http://127.0.0.1:1{WEBHOOK_PATH}",
        KAFKA_SECURITY_PROTOCOL="PLAINTEXT", GATEWAY_PORT=str(free_port()), GRPC_PORT="0",
        QUERY_PORT=str(free_port()), ALERTING_PORT="0", PROCESSOR_PORT=str(free_port()),
    )  # fmt: skip
    wrong = settings | {"SPENDSTREAM_KAFKA_SASL_PASSWORD": DATABASE_PASSWORD, "SPENDSTREAM_KAFKA_SASL_USERNAME": "u"}
    wrong |= {"SPENDSTREAM_LOG_LEVEL": ADMIN_KEY, "SPENDSTREAM_GATEWAY_PORT": ADMIN_KEY, "SPENDSTREAM_QUERY_PORT": "x"}
    logs, started = [], []
    # All at once: each takes its time to start, and then to notice.
    with ExitStack() as running:
        for module in ("gateway", "query", "alerting", "processor"):
            for name, its_settings in ((module, settings), (f"{module}.wrong", wrong)):
                logs.append(tmp_path / f"{name}.log")
                started.append(running.enter_context(process(f"services.{module}.main", its_settings, logs[-1])))
        wait_until(lambda: all(log.stat().st_size for log in logs), "all have said something", 60)
        time.sleep(2)
        for each in started:  # what they would still say while they wait for a broker is not worth the time
            each.terminate()
        time.sleep(1)
        for each in started:
            each.kill()
    assert_none(tmp_path, {SESSION_SECRET, SIGNING_SECRET, WEBHOOK_PATH, MAIL_PASSWORD, DATABASE_PASSWORD})


def assert_none(folder: Path, secrets: set[str]) -> None:
    logs = sorted(folder.glob("*.log"))
    assert logs
    found = {(log.name, secret) for log in logs for secret in secrets if secret in log.read_text(errors="replace")}
    assert found == set()
