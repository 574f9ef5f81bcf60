"""The main job on the running whole: acceptance, the real trace replayed, restarts."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from confluent_kafka.admin import AdminClient
from playwright.sync_api import Browser, expect

from deploy import generate_metrics
from services.cli import demo_globex, demo_story
from services.cli.client import Address, Client
from services.cli.delivery import send_all
from services.cli.running import FILE_NAME
from services.contracts.topics import USAGE_EVENTS
from services.runtime.topics import ensure_topics
from tests.e2e.system.conftest import ROOT, System
from tests.e2e.system.documents import BLOCKS, DOCUMENTS, Block, check, run
from tests.e2e.system.scraping import prometheus, wait_scraped
from tests.integration.processor.running import free_port, wait_settled, wait_until
from tests.processes import has_ended
from tests.unit.deploy.test_metrics import expressions

TRACE = "data/azure_llm_inference_2023_conv.csv"
CALLS, PROMPT, COMPLETION = 19_366, 22_361_870, 4_088_665
# $2.50 and $10.00 per million tokens.
COST_USD = (PROMPT * Decimal("2.50") + COMPLETION * Decimal("10.00")) / 10**6


def accept(system: System, shared: Path, check: str) -> None:
    environment = {
        **os.environ,
        "SPENDSTREAM_URL": system.running.urls["query"],
        "SPENDSTREAM_GATEWAY_URL": system.running.urls["gateway"],
        "SPENDSTREAM_ADMIN_KEY": system.running.admin_key,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [sys.executable, str(shared / "accept" / check)], env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_acceptance_check_of_exact_sums_holds(system: System, shared: Path) -> None:
    accept(system, shared, "exact.py")


def test_the_acceptance_check_of_every_endpoint_holds(system: System, shared: Path) -> None:
    accept(system, shared, "rows.py")


def replay(system: System, file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services.cli.main", "replay", str(file), *options]
    return subprocess.run(command, cwd=ROOT, env=system.environment, capture_output=True, text=True, timeout=180)


def test_a_real_trace_replayed_costs_what_plain_arithmetic_says_and_again_changes_nothing(
    system: System, shared: Path
) -> None:
    trace = shared / TRACE
    with trace.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert (len(rows), sum(int(r["ContextTokens"]) for r in rows), sum(int(r["GeneratedTokens"]) for r in rows)) == (
        CALLS,
        PROMPT,
        COMPLETION,
    )
    assert Decimal("96.791325") == COST_USD
    end = (datetime.now(UTC) - timedelta(days=1)).replace(hour=12, minute=0, second=0, microsecond=0)
    options = ("--tenant", "azure", "--provider", "openai", "--model", "gpt-4o", "--shift-end", end.strftime("%FT%TZ"))
    for duplicates in (0, CALLS):
        done = replay(system, trace, *options)
        assert done.returncode == 0, done.stderr
        for figure in ("19,366", "22,361,870", "4,088,665", "96.791325"):
            assert figure in done.stdout, done.stdout
        with system.client() as client:
            span = {
                "filter[tenant_id]": "azure",
                "from": f"{end - timedelta(days=1):%F}",
                "to": f"{end + timedelta(days=1):%F}",
            }
            totals = client.get("/api/v1/costs", params=span).raise_for_status().json()["totals"]
            by_minute = client.get("/api/v1/costs", params=span | {"granularity": "hour", "limit": 1000}).json()["data"]
        assert Decimal(totals["cost_usd"]) == COST_USD
        assert (totals["calls"], totals["prompt_tokens"], totals["completion_tokens"]) == (CALLS, PROMPT, COMPLETION)
        assert sum(Decimal(row["cost_usd"]) for row in by_minute) == COST_USD
        with psycopg.connect(system.running.database_dsn) as connection:
            row = connection.execute("SELECT sum(duplicate) FROM ledger").fetchone()
        assert row is not None
        assert row[0] >= duplicates
    levels = wait_settled(_one_tenant(system), COST_USD)
    assert levels == dict.fromkeys(levels, COST_USD)


def _one_tenant(system: System) -> str:
    """A DSN whose search path shows the tenant `azure` alone, so that plain sums are that tenant's."""
    with psycopg.connect(system.running.database_dsn, autocommit=True) as connection:
        row = connection.execute("SELECT tenant_no FROM tenant WHERE tenant_id = 'azure'").fetchone()
        assert row is not None
        connection.execute("CREATE SCHEMA IF NOT EXISTS only_azure")
        for name in ("usage_minute", "usage_15m", "usage_hour", "usage_day", "usage_event"):
            rows = f"SELECT * FROM public.{name} WHERE tenant_no = {int(row[0])}"
            connection.execute(f"CREATE OR REPLACE VIEW only_azure.{name} AS {rows}")
    return system.running.database_dsn + "?options=-csearch_path%3Donly_azure,public"


def test_there_are_blocks_to_run_in_each_document() -> None:
    assert {block.document for block in BLOCKS} == set(DOCUMENTS)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.document}: {block.code.splitlines()[-1][:40]}")
def test_a_block_does_what_its_document_says(system: System, block: Block) -> None:
    check(block, run(system, block))


def test_top_says_in_json_what_the_page_says(system: System) -> None:
    command = [sys.executable, "-m", "services.cli.main", "top", "--once", "--json", "--by", "tenant_id"]
    done = subprocess.run(command, cwd=ROOT, env=system.environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    look = json.loads(done.stdout)
    assert "acme-corp" in {row["tenant_id"] for row in look["rows"]}
    refused = subprocess.run(
        [*command, "--tenant", "nobody-knows-it"], cwd=ROOT, env=system.environment, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("spendstream top: ")
    assert refused.stderr.count("\n") == 1


def test_growing_prompts_are_a_spike_a_slack_message_and_an_alert_within_a_minute(
    system: System, browser: Browser
) -> None:
    """The demo's own events: two days of globex, then the prompts of `summarise` grow."""
    urls, base = system.running.urls, datetime.now(UTC)
    with Client(Address(urls["query"], urls["gateway"], system.running.admin_key)) as client:
        past = [
            event
            for hour in demo_globex.hours(base - timedelta(days=2), base)
            for at, event in demo_globex.events_of_hour(hour, base)
            if at <= base
        ]
        assert send_all(client, past, lambda _: None).accepted == len(past)
        until(lambda: client.totals("globex", base.date() - timedelta(days=3), base.date()).calls >= len(past), 60)
        # So far into the minute in which they grow; the rest of it as it goes by.
        start = datetime.now(UTC) - timedelta(seconds=20)
        calls = list(demo_story.burst(start))
        sent = 0

        def is_told() -> bool:
            nonlocal sent
            due = [event for at, event in calls[sent:] if at <= datetime.now(UTC)]
            if due:
                assert client.send(due).accepted == len(due)
                sent += len(due)
            return "summarise at globex" in json.dumps(system.slack.inbox.all())

        until(is_told, 60)
    assert datetime.now(UTC) - start < timedelta(minutes=1)
    page = browser.new_page(viewport={"width": 390, "height": 844})
    try:
        page.goto(system.slack.url)
        message = page.locator("article", has_text="summarise at globex").first
        title = r"summarise at globex: \$[\d.]+ (in \d+ s|since \d\d:00 UTC), [\d.]+\s× its usual hour"
        expect(message.locator("h2")).to_have_text(re.compile(title))
        expect(message).to_contain_text(re.compile(r"prompts grew from [\d,]+ to \d\d,\d{3} tokens", re.IGNORECASE))
        view = message.get_by_role("link", name="Open in Spendstream").get_attribute("href") or ""
        assert view.startswith(urls["query"])
        page.goto(f"{urls['query']}/alerts")
        page.get_by_label("Key").fill(system.running.admin_key)
        page.get_by_role("button", name="Sign in").click()
        alert = page.locator("#fired tr", has_text="summarise at globex").first
        expect(alert).to_contain_text(
            re.compile(r"summarise at globex costs .*: prompts grew from [\d,]+ to [\d,]+ tokens")
        )
        # Its button leads to the view that shows it.
        page.goto(view)
        expect(page.locator(".chip", has_text="summarise")).to_have_count(1)
    finally:
        page.close()


def until(true: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.25)


def processes_of(home: Path) -> list[str]:
    """Command lines of processes that work on this data folder."""
    found = []
    for process in psutil.process_iter():
        try:
            line, environment = " ".join(process.cmdline()), process.environ()
        except (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
            continue
        if str(home) in line or environment.get("SPENDSTREAM_HOME") == str(home):
            found.append(line)
    return found


def test_a_real_prometheus_scrapes_every_service_and_can_answer_what_rules_and_dashboards_ask(
    system: System, tmp_path: Path
) -> None:
    ports = {name: system.environment[f"SPENDSTREAM_{name.upper()}_PORT"] for name in generate_metrics.SERVICES}
    with prometheus(tmp_path, ports) as client:
        scraped = wait_scraped(client, len(ports))
        assert scraped.keys() == {f"spendstream-{name}" for name in ports}
        names = set(client.get("/api/v1/label/__name__/values").json()["data"])
        for metrics in generate_metrics.by_service().values():
            # One with labels is there from its first sample on; one without from the start.
            assert {each.name for each in metrics if not each.labels and each.kind != "histogram"} <= names
        for text in expressions():
            answer = client.get("/api/v1/query", params={"query": text.replace("$__rate_interval", "10s")})
            assert answer.json()["status"] == "success", answer.text
        groups = client.get("/api/v1/rules").json()["data"]["groups"]
        assert sum(len(group["rules"]) for group in groups) == len(groups[0]["rules"]) >= 14
        firing = [each for each in client.get("/api/v1/alerts").json()["data"]["alerts"] if each["state"] == "firing"]
        assert not firing
        (waiting,) = client.get("/api/v1/query", params={"query": "sum(spendstream_processor_lag_messages)"}).json()[
            "data"
        ]["result"]
        assert waiting["value"][1] == "0"


def test_stopped_and_started_again_it_shows_the_same(system: System) -> None:
    with system.client() as client:
        before = client.get("/api/v1/costs", params={"group_by": "tenant_id"}).json()["data"]
    assert f"{system.running.urls['query']}/sign-in?token=" in system.log.read_text()
    assert system.running.urls["query"].endswith(":" + system.environment["SPENDSTREAM_QUERY_PORT"])
    assert system.running.admin_key == system.environment["SPENDSTREAM_ADMIN_KEY"]
    assert len(processes_of(system.home)) > 5, "they can be seen while they run"
    assert system.stop() == 0
    assert processes_of(system.home) == [], "no process is left"
    assert not (system.home / FILE_NAME).exists()
    system.start("--json")
    wait_until(lambda: system.said.read_text().endswith("}\n"), "it says where everything is")
    said = json.loads(system.said.read_text())
    assert (said["urls"], said["admin_key"]) == (system.running.urls, system.running.admin_key)
    assert said["sign_in_url"].startswith(f"{system.running.urls['query']}/sign-in?token=")
    assert "database_dsn" not in said, "the database's password is nobody's business"
    with system.client() as client:
        after = client.get("/api/v1/costs", params={"group_by": "tenant_id"}).json()["data"]
    assert after == before
    assert before


def spendstream(system: System, *command: str) -> subprocess.CompletedProcess[str]:
    run = [sys.executable, "-m", "services.cli.main", *command]
    return subprocess.run(run, cwd=ROOT, env=system.environment, capture_output=True, text=True, timeout=60)


def test_a_topic_made_again_is_waited_with_until_it_is_adopted(system: System) -> None:
    bootstrap = system.running.kafka_bootstrap
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.delete_topics([USAGE_EVENTS.name])[USAGE_EVENTS.name].result(30)
    wait_until(lambda: USAGE_EVENTS.name not in admin.list_topics(timeout=5).topics, "deleted")
    ensure_topics(bootstrap, [USAGE_EVENTS])
    log = system.home / "logs" / "processor.log"
    wait_until(lambda: "an operator must adopt it: spendstream adopt" in log.read_text(), "it says what to do", 60)
    event = {
        "event_id": "after-adopting", "occurred_at": datetime.now(UTC).isoformat(), "tenant_id": "adopted",
        "provider": "openai", "model": "gpt-4o", "prompt_tokens": 1_000_000,
    }  # fmt: skip
    key = {"authorization": f"Bearer {system.running.admin_key}"}
    sent = httpx.post(f"{system.running.urls['gateway']}/v1/events", json=event, headers=key)
    assert sent.json()["accepted"] == 1, sent.text
    assert spendstream(system, "adopt").returncode == 1, "it waits for --yes"
    assert spendstream(system, "adopt", "--yes").returncode == 0

    def cost_usd() -> Decimal:
        with system.client() as client:
            answer = client.get("/api/v1/costs", params={"filter[tenant_id]": "adopted"})
        return Decimal(answer.json()["totals"]["cost_usd"] or 0) if answer.status_code == 200 else Decimal(0)

    wait_until(lambda: cost_usd() == Decimal("2.5"), "it goes on", 60)
    assert system.process is not None and system.process.poll() is None, "`up` never went down"


def test_killed_it_leaves_no_process_behind_and_starts_again_on_the_same_data(system: System) -> None:
    with system.client() as client:
        before = client.get("/api/v1/costs", params={"group_by": "tenant_id"}).json()["data"]
    assert system.process is not None
    children = psutil.Process(system.process.pid).children(recursive=True)
    system.process.kill()
    system.process.wait()
    # At once, while broker and database are still stopping: the start waits for them. On other ports, as those may
    # still be held.
    system.environment |= {f"SPENDSTREAM_{name}_PORT": str(free_port()) for name in ("QUERY", "GATEWAY", "GRPC")}
    system.start()
    assert len(children) > 5
    assert all(has_ended(child) for child in children)
    with system.client() as client:
        assert client.get("/api/v1/costs", params={"group_by": "tenant_id"}).json()["data"] == before
