"""The API's manners: every wrong parameter named, never a 5xx, sign-in, sessions that other sites can't use, limits."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest

from services.contracts.event_key import event_key
from services.contracts.rollups import FAMILIES
from services.contracts.signin import make_signin_token
from services.query.auth import SESSION_COOKIE
from tests.integration.query.conftest import ADMIN_KEY, SECRET, Service
from tests.integration.query.store import Event, add_tenant, fold, insert_raw

ADMIN = "/api/v1/admin/llm-costs"


@pytest.fixture(scope="module", autouse=True)
def seeded(database: str) -> None:
    now = datetime.now(UTC)
    with psycopg.connect(database) as conn:
        tenant = add_tenant(conn, "acme", "Asia/Kathmandu")
        attempts = [
            Event(now - timedelta(minutes=9 - n), tenant, 1_000_000 * (n + 1), 1, {
                "request_id": "req/1", "attempt": n + 1, "run_id": "run 1", "feature": "chat", "agent_id": "dexter",
                "section_path": "agent:dexter/llm", "status": "error" if n == 0 else "ok", "input_uncached": 300,
                "output_text": 100, "user_id": '=HYPERLINK("evil")', "channel": "slack", "customer_id": "alice",
            })
            for n in range(2)
        ]  # fmt: skip
        insert_raw(conn, attempts)
        fold(conn)


def wrong(answer: httpx.Response) -> set[str]:
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == 400
    assert all(error["detail"] for error in body["errors"])
    return {error["parameter"] for error in body["errors"]}


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ({"from": "yesterday"}, {"from"}),
        ({"from": "2026-10-02", "to": "2026-10-01"}, {"to"}),
        ({"from": "1", "tz": "Mars/Base", "group_by": "a,b", "measures": "x"}, {"from", "tz", "group_by", "measures"}),
        ({"granularity": "second", "limit": "-1", "nonsense": "1"}, {"granularity", "limit", "nonsense"}),
        (
            {"limit": "x", "tz": "Y", "from": "z", "to": "1800-01-01", "group_by": "q"},
            {"limit", "tz", "from", "to", "group_by"},
        ),
        ({"limit": "1001"}, {"limit"}),
        ({"limit": "many"}, {"limit"}),
        ({"cursor": "zzz"}, {"cursor"}),
        ({"order_by": "latency_ms_avg"}, {"order_by"}),
        ({"order": "sideways"}, {"order"}),
        ({"filter[color]": "red"}, {"filter[color]"}),
        ({"filter[model]": "a\x00b"}, {"filter[model].0"}),
        ({"granularity": "minute", "from": "2016-01-01", "to": "2026-01-01"}, {"granularity"}),
        ({"group_by": "customer_id,provider", "from": "2026-01-01", "to": "2026-06-01"}, {"group_by"}),
        ({"tz": "../../etc/passwd"}, {"tz"}),
        ({"measures": ""}, {"measures"}),
    ],
)  # fmt: skip
async def test_every_wrong_parameter_is_named(service: Service, parameters: dict[str, str], names: set[str]) -> None:
    assert wrong(await service.get("/api/v1/costs", **parameters)) == names


async def test_an_edge_that_retention_let_go_is_named_with_the_nearest_that_can_be_answered(
    service: Service, database: str
) -> None:
    long_ago, now = "2024-03-01", datetime.now(UTC)
    with psycopg.connect(database) as conn:
        finer = [rollup.view(level) for rollup in FAMILIES for level in rollup.levels if level != "day"]
        for relation in ("usage_event", *finer):
            values = (relation, now - timedelta(days=120), now)
            conn.execute("INSERT INTO retention_floor (relation, complete_from, moved_at) VALUES (%s, %s, %s)", values)
    try:
        assert (await service.get("/api/v1/costs", **{"from": long_ago, "group_by": "feature"})).status_code == 200
        for asked, name, nearest in (
            ({"from": f"{long_ago}T10:30:00Z"}, "from", "2024-03-02T00:00:00Z"),
            ({"from": long_ago, "to": "2024-03-09T10:00:00Z"}, "to", "2024-03-09T00:00:00Z"),
            (
                {"from": long_ago, "tz": "Asia/Kathmandu", "granularity": "day", "to": "2024-03-09"},
                "from",
                "2024-03-01",
            ),
        ):
            answer = await service.get("/api/v1/costs", **asked)
            assert wrong(answer) == {name}
            assert nearest in answer.json()["detail"]
        # A page goes without the comparison that can't be made.
        days = {"startDate": f"{now - timedelta(days=200):%Y-%m-%d}", "endDate": f"{now:%Y-%m-%d}"}
        assert (await service.get("/", **days)).status_code == 200
    finally:
        with psycopg.connect(database) as conn:
            conn.execute("DELETE FROM retention_floor")


async def test_every_route_of_the_api_refuses_a_parameter_it_does_not_know(service: Service) -> None:
    ids = {"tenant_id": "acme", "feature": "chat", "request_id": "req/1", "run_id": "run 1", "agent_id": "dexter"}
    tried = 0
    for route in service.routes():
        if not route.path.startswith(("/api/", "/tenants/")) or "GET" not in (route.methods or ()):
            continue
        path = route.path.replace(":path", "")
        for name, value in ids.items():
            path = path.replace(f"{{{name}}}", value)
        answer = await service.get(path, nonsense="1")
        assert "nonsense" in wrong(answer), path
        tried += 1
    assert tried > 25


MOMENTS = {"from", "to", "startDate", "endDate", "start_date", "end_date"}
# Names of things: any text that one can print is one, also of something that isn't there.
NAMES = {"tenant_id", "tenantId", "agent_id", "agentId", "user_id", "userId", "feature", "provider", "model"}


def wrong_values(parameter: dict[str, Any]) -> list[str]:
    """Values that this query parameter can't have, by its own description and by what its name promises."""
    name, schema = parameter["name"], parameter["schema"]
    if name.startswith("filter[") or name in NAMES:
        return ["a\x00b", "\x1f", "x" * 201]
    if name in MOMENTS:
        return ["yesterday", "2026-13-01", "2026-02-30", "12", "1850-01-01", "2026-01-01T25:00:00Z"]
    if schema.get("type") == "integer":
        return ["x", "", "1.5", "-1", str(10**30), *([str(schema["maximum"] + 1)] if "maximum" in schema else [])]
    if name == "estimated_cost_usd":
        return ["x", "-0.1", "1e400", "NaN"]
    return {"tz": ["Mars/Base", "", "../UTC", "x" * 99], "cursor": ["zzz", "", "x" * 3_000]}.get(name, ["sideways", ""])


async def test_every_parameter_of_every_route_that_is_wrong_is_named(service: Service) -> None:
    ids = {"tenant_id": "acme", "feature": "chat", "request_id": "req/1", "run_id": "run 1", "agent_id": "dexter"}
    needed = {
        "/api/cost-tracking/reports/monthly": {"month": "2026-10"},
        "/api/v1/budgets/check": {"tenant_id": "acme"},
    }
    tried = 0
    for path, operations in service.app.openapi()["paths"].items():
        for parameter in operations.get("get", {}).get("parameters", ()):
            assert parameter["description"], (path, parameter["name"])
            if parameter["in"] != "query":
                continue
            url = path
            for name, value in ids.items():
                url = url.replace(f"{{{name}}}", value)
            for value in wrong_values(parameter):
                asked = {**needed.get(path, {}), parameter["name"]: value}
                names = wrong(await service.get(url, **asked))
                assert {name.split(".")[0] for name in names} == {parameter["name"]}, (path, asked, names)
                tried += 1
    assert tried > 300


async def test_dates_of_the_other_families_are_named_as_they_name_them(service: Service) -> None:
    assert wrong(await service.get("/api/portal/usage/acme/summary", start_date="x", end_date="y")) == {
        "start_date",
        "end_date",
    }
    assert wrong(await service.get("/api/cost-tracking", startDate="2026-10-01", period="week")) == {"period"}
    assert wrong(await service.get("/api/cost-tracking", startDate="x", period="age")) == {"startDate", "period"}
    assert wrong(await service.get("/api/cost-tracking/reports/monthly", month="2026-13")) == {"month"}
    assert wrong(await service.get(f"{ADMIN}/by-org", sortBy="size", minCostCents="-1")) == {"sortBy", "minCostCents"}


async def test_a_request_and_its_attempts(service: Service) -> None:
    body = (await service.get("/api/v1/requests/req/1")).json()["data"]
    assert [attempt["attempt"] for attempt in body["attempts"]] == [1, 2]
    assert [attempt["cost_usd"] for attempt in body["attempts"]] == ["0.000001", "0.000002"]
    assert [attempt["dearest"] for attempt in body["attempts"]] == [False, True]
    assert sum(attempt["attempt_cost_share"] for attempt in body["attempts"]) == pytest.approx(1)
    summary = body["summary"]
    assert (summary["cost_usd"], summary["wasted_cost_usd"], summary["prompt_share"]) == ("0.000003", "0.000001", 0.75)


async def test_a_call_without_a_request_id_is_its_own_request(service: Service, database: str) -> None:
    with psycopg.connect(database) as conn:
        row = conn.execute("SELECT tenant_no FROM tenant WHERE tenant_id = 'acme'").fetchone()
        assert row is not None
        # Long ago, so that no other test counts it.
        insert_raw(conn, [Event(datetime(2026, 1, 1, tzinfo=UTC), row[0], 7, 1, {})])
        conn.execute(
            "UPDATE usage_event SET event_id = 'evt-1', event_key = %s WHERE request_id = '' AND tenant_no = %s",
            (UUID(bytes=event_key("evt-1")), row[0]),
        )
        conn.execute(
            "INSERT INTO event_identity SELECT tenant_no, event_key, 0, occurred_at FROM usage_event "
            "WHERE event_id = 'evt-1'"
        )
    body = (await service.get("/api/v1/requests/evt-1")).json()["data"]
    assert (body["summary"]["request_id"], body["summary"]["attempts"]) == ("evt-1", 1)
    assert (await service.get("/api/v1/requests/evt-2")).status_code == 404


async def test_a_run_and_its_tree(service: Service) -> None:
    body = (await service.get("/api/v1/runs/run 1")).json()["data"]
    assert (body["agent_id"], body["calls"], body["cost_usd"]) == ("dexter", 2, "0.000003")
    (agent,) = body["tree"]["children"]
    assert (agent["name"], agent["children"][0]["path"]) == ("agent:dexter", "agent:dexter/llm")


async def test_the_default_zone_is_the_tenants(service: Service) -> None:
    body = (await service.get("/api/v1/costs", **{"filter[tenant_id]": "acme", "granularity": "day"})).json()
    assert len(body["data"]) == 30
    assert all(row["bucket"].endswith("T00:00:00+05:45") for row in body["data"])
    assert body["totals"]["cost_usd"] == "0.000003"


async def test_customers_of_the_last_day(service: Service) -> None:
    (row,) = (await service.get("/tenants/acme/customers")).json()
    assert (row["customer_id"], row["total_cost_usd"], row["calls"]) == ("alice", "0.000003", 2)
    assert (row["avg_cost_per_call_usd"], row["percent_of_total"]) == ("0.0000015", 100.0)


async def test_an_exports_cells_are_no_formulas(service: Service) -> None:
    answer = await service.get(f"{ADMIN}/export")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert {row["user"] for row in rows} == {'\'=HYPERLINK("evil")'}
    assert sum(Decimal(row["cost_usd"]) for row in rows) == Decimal("0.000003")
    assert [row["success"] for row in rows] == ["false", "true"]


async def test_no_cell_of_an_export_is_a_formula_and_every_value_comes_back(service: Service, database: str) -> None:
    starts = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1")
    plain = ('a "quoted", name', "two\nlines", "é", "")
    day = datetime(2026, 2, 1, 23, 59, 59, 999_999, tzinfo=UTC)
    with psycopg.connect(database) as conn:
        tenant = add_tenant(conn, "-evil")
        events = [
            Event(day + timedelta(hours=n), tenant, 1_500_000 * n, 1, {
                "user_id": user, "model": user or "m", "provider": user or "p", "tier": user, "latency_ms": n,
                "input_uncached": 7, "output_text": 5,
            })
            for n, user in enumerate((*starts, *plain))
        ]  # fmt: skip
        events.append(Event(day, tenant, None, 1, {"user_id": "unpriced", "status": "error"}))
        insert_raw(conn, events)
        fold(conn, f"tenant_no = {tenant}")
    answer = await service.get(f"{ADMIN}/export", startDate="2026-02-01", endDate="2026-02-02")
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert {row["organization"] for row in rows} == {"'-evil"}
    assert [row["date"] for row in rows] == sorted(event.occurred_at.isoformat() for event in events)
    by_user = {row["user"]: row for row in rows}
    assert set(by_user) == {*(f"'{text}" for text in starts), *plain, "unpriced"}
    for cell in ("model", "provider", "tier"):
        assert {row[cell] for row in rows if row["user"].startswith("'")} == {f"'{text}" for text in starts}
    assert by_user["'+1"]["cost_usd"] == "0.0000015"
    assert (by_user["é"]["prompt_tokens"], by_user["é"]["completion_tokens"], by_user["é"]["total_tokens"]) == (
        "7", "5", "12",
    )  # fmt: skip
    assert (by_user["unpriced"]["cost_usd"], by_user["unpriced"]["latency_ms"]) == ("", "")
    assert by_user["unpriced"]["success"] == "false"
    assert (await service.get(f"{ADMIN}/export", startDate="2025-01-01", endDate="2025-01-02")).text.count("\n") == 1


async def test_a_budget_from_its_making_to_its_end(service: Service) -> None:
    url, new = "/api/v1/budgets", {"tenant_id": "acme", "scope": {"agent_id": "dexter"}, "window": "daily"}
    assert wrong(await service.ask("POST", url, json={**new, "limit_usd": "-1"})) == {"limit_usd"}
    assert wrong(await service.ask("POST", url, json={**new, "limit_usd": "1", "tenant_id": "none"})) == {"tenant_id"}
    made = (await service.ask("POST", url, json={**new, "limit_usd": "0.000003"})).json()["data"]
    check = (await service.get(f"{url}/check", tenant_id="acme", agent_id="dexter")).json()["data"]
    assert (check["status"], check["remaining_usd"], check["budget_id"]) == ("exceeded", "0", made["id"])
    other = (await service.get(f"{url}/check", tenant_id="acme", agent_id="cassie")).json()["data"]
    assert (other["status"], other["remaining_usd"]) == ("ok", None)
    (row,) = (await service.get("/api/portal/usage/acme/budget-alerts")).json()
    assert (row["agent_name"], row["status"], row["budget_limit_usd"]) == ("Dexter", "exceeded", 0.000003)
    changed = await service.ask("PATCH", f"{url}/{made['id']}", json={"limit_usd": "0.0000035"})
    assert changed.json()["data"]["limit_usd"] == "0.0000035"
    assert (await service.get(f"{url}/{made['id']}")).json()["data"]["status"] == "warning"
    assert (await service.ask("DELETE", f"{url}/{made['id']}")).status_code == 204
    assert (await service.get(f"{url}/{made['id']}")).status_code == 404


async def test_an_alert_rule_from_its_making_to_its_end(service: Service, database: str) -> None:
    url = f"{ADMIN}/alerts"
    new: dict[str, Any] = {
        "name": "Day", "alertType": "daily_limit", "thresholdCents": 100, "organizationId": "acme",
        "slackWebhook": "https://hooks.slack.com/services/T/B/secret", "notificationEmails": ["a@example.com"],
    }  # fmt: skip
    assert wrong(await service.ask("POST", url, json={**new, "organizationId": "none"})) == {"organizationId"}
    made = (await service.ask("POST", url, json=new)).json()["data"]
    assert "secret" not in made["slackWebhook"]
    # Sent back as it was shown, the address stays.
    put = await service.ask("PUT", f"{url}/{made['id']}", json={**new, "slackWebhook": made["slackWebhook"]})
    assert put.status_code == 200
    with psycopg.connect(database) as conn:
        kept = conn.execute("SELECT slack_webhook FROM alert_rule WHERE rule_id = %s", (made["id"],)).fetchone()
    assert kept is not None and service.opened(kept[0]) == new["slackWebhook"] != kept[0]
    tested = await service.ask("POST", f"{url}/{made['id']}/test")
    assert (tested.status_code, tested.json()["data"]["channels"]) == (202, ["slack", "email"])
    told = (await service.get(f"{url}/history")).json()["data"]
    assert {one["channel"] for one in told[0]["notifications"]} == {"slack", "email"}
    assert (await service.ask("DELETE", f"{url}/{made['id']}")).status_code == 204
    assert (await service.get(f"{url}/{made['id']}")).status_code == 404
    actions = [entry["action"] for entry in (await service.get("/api/v1/admin-log")).json()["data"]]
    assert actions[:4] == ["alert.delete", "alert.test", "alert.change", "alert.create"]


async def test_tenants_are_added_and_renamed(service: Service) -> None:
    made = await service.ask("POST", "/api/v1/tenants", json={"tenant_id": "new/co", "tz": "Europe/Berlin"})
    assert (made.status_code, made.json()["data"]["name"]) == (201, "new/co")
    assert (await service.ask("POST", "/api/v1/tenants", json={"tenant_id": "new/co"})).status_code == 409
    changed = await service.ask("PATCH", "/api/v1/tenants/new/co", json={"name": "New & Co"})
    assert changed.json()["data"]["name"] == "New & Co"
    assert wrong(await service.ask("PATCH", "/api/v1/tenants/new/co", json={"tz": "Mars"})) == {"tz"}
    assert (await service.ask("PATCH", "/api/v1/tenants/none", json={"name": "x"})).status_code == 404


async def test_the_stream_tells_todays_totals_at_once(service: Service) -> None:
    answer = await service.get("/api/v1/stream", tenant_id="acme", max_seconds="1")
    assert answer.headers["content-type"].startswith("text/event-stream")
    (data,) = [line for line in answer.text.splitlines() if line.startswith("data: ")]
    assert {"cost_usd", "calls", "total_tokens"} <= set(json.loads(data.removeprefix("data: "))["totals"])


async def test_prices_are_dollars_per_million_tokens(service: Service) -> None:
    row, *_older = (await service.get("/api/v1/prices", provider="openai", model="gpt-4o-mini")).json()["data"]
    assert row["usd_per_million_tokens"]["input_uncached"] == "0.15"
    assert row["usd_per_million_tokens"]["output_text"] == "0.6"
    assert (await service.get("/api/v1/prices/unpriced")).json()["data"] == []


async def test_the_audit_holds(service: Service) -> None:
    body = (await service.get("/api/v1/audit")).json()["data"]
    levels = {one["name"]: one for one in body["identities"] if one["name"].startswith("raw = usage")}
    assert set(levels) == {"raw = usage_minute", "raw = usage_15m", "raw = usage_hour", "raw = usage_day"}
    assert all(level["holds"] and level["totals"]["calls"] == 2 for level in levels.values())
    # These rows were not read from Kafka, and it says so.
    assert not body["holds"]
    broken = {identity["name"] for identity in body["identities"] if not identity["holds"]}
    assert {"counted by the ledger = calls kept", "raw = identities"} <= broken


async def test_a_viewer_of_one_tenant_sees_no_ledger_in_the_audit(service: Service) -> None:
    made = await service.new_key("viewer", "acme")
    body = (await service.get("/api/v1/audit", made["key"], days="1")).json()["data"]
    assert body["ledger"] == []
    assert not any("ledger" in identity["name"] for identity in body["identities"])


async def test_a_sign_in_link_opens_a_session_that_other_sites_cannot_use(service: Service) -> None:
    link = f"/sign-in?token={make_signin_token(SECRET, datetime.now(UTC))}&next=//evil.example"
    answer = await service.ask("GET", link, None)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    service.client.cookies.set(SESSION_COOKIE, answer.cookies[SESSION_COOKIE])
    assert (await service.get("/api/v1/keys", None)).status_code == 200
    new = {"role": "viewer", "name": "x"}
    for headers in (
        {},
        {"sec-fetch-site": "cross-site"},
        {"origin": "https://evil.example"},
        {"sec-fetch-site": "none"},
    ):
        refused = await service.ask("POST", "/api/v1/keys", None, json=new, headers=headers)
        assert refused.status_code == 403, headers
    for headers in ({"sec-fetch-site": "same-origin"}, {"origin": "http://query.test"}):
        assert (await service.ask("POST", "/api/v1/keys", None, json=new, headers=headers)).status_code == 201
    # A wrong key beside a good cookie is a wrong key.
    assert (await service.get("/api/v1/keys", "sps_wrong")).status_code == 401


async def test_a_session_ends_with_its_key(service: Service) -> None:
    made = await service.new_key("viewer", "acme")
    headers = {"sec-fetch-site": "same-origin"}
    answer = await service.ask("POST", "/sign-in", None, data={"key": made["key"], "next": "/runs"}, headers=headers)
    assert (answer.status_code, answer.headers["location"]) == (303, "/runs")
    service.client.cookies.set(SESSION_COOKIE, answer.cookies[SESSION_COOKIE])
    assert (await service.get("/api/v1/costs", None)).status_code == 200
    await service.ask("DELETE", f"/api/v1/keys/{made['id']}")
    assert (await service.get("/api/v1/costs", None)).status_code == 401


async def test_bad_links_and_keys_sign_nobody_in(service: Service) -> None:
    ingest = await service.new_key("ingest", "acme")
    assert (await service.ask("GET", "/sign-in?token=x.y", None)).status_code == 401
    for key in ("", "wrong", ingest["key"]):
        answer = await service.ask(
            "POST", "/sign-in", None, data={"key": key}, headers={"sec-fetch-site": "same-origin"}
        )
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
    assert (await service.ask("POST", "/sign-in", None, data={"key": ADMIN_KEY})).status_code == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"{", 400), (b"[]", 400), (b'"x"', 400), (b'{"role":"king"}', 400), (b"x" * 2_000_000, 413),
     (b'{"role":"admin","tenant_id":"acme"}', 400), (b'{"role":"ingest"}', 400), (b"\xff\xfe", 400),
     (b'{"role":"viewer","tenant_id":"\\u0000"}', 400), (b"[" * 100_000, 400)],
)  # fmt: skip
async def test_a_bad_body_is_a_clear_refusal(service: Service, body: bytes, status: int) -> None:
    answer = await service.ask("POST", "/api/v1/keys", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_body_that_hides_its_length_is_limited_too(service: Service) -> None:
    async def endless() -> Any:  # noqa: ANN401
        for _ in range(40):
            yield b"x" * 100_000

    answer = await service.ask("POST", "/api/v1/keys", content=endless())
    assert answer.status_code == 413


async def test_health_metrics_and_the_description_are_there(service: Service) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/docs", "/docs/start.js", "/openapi.json"):
        assert (await service.get(path, None)).status_code == 200, path
    metrics = (await service.get("/metrics", None)).text
    assert 'route="/healthz"' in metrics
    described = (await service.get("/openapi.json", None)).json()["paths"]
    assert {"/api/v1/costs", "/api/v1/keys", "/tenants/{tenant_id}/customers", "/api/cost-tracking"} <= set(described)
    assert (await service.get("/api/v1/nowhere")).headers["content-type"] == "application/problem+json"
