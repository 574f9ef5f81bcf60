"""What can't be watched, told or allowed is refused with the field's name, and nothing is kept of it."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.integration.query.conftest import Service
from tests.integration.query.store import Event, add_tenant, fold, insert_raw

ALERTS, BUDGETS = "/api/v1/admin/llm-costs/alerts", "/api/v1/budgets"
ALERT: dict[str, Any] = {"name": "Day", "alertType": "daily_limit", "thresholdCents": 100, "organizationId": "watched"}
BUDGET: dict[str, Any] = {"tenant_id": "watched", "window": "daily", "limit_usd": "1"}


@pytest.fixture(scope="module", autouse=True)
def seeded(database: str) -> None:
    """`report_writer`, `reports` and `peter` are another tenant's."""
    at = datetime.now(UTC) - timedelta(minutes=9)
    names = {
        "watched": {"agent_id": "dexter", "feature": "chat", "user_id": "ana"},
        "another": {"agent_id": "report_writer", "feature": "reports", "user_id": "peter"},
    }
    with psycopg.connect(database) as conn:
        insert_raw(conn, [Event(at, add_tenant(conn, tenant), 10**6, 1, {**of}) for tenant, of in names.items()])
        fold(conn)


def wrong(answer: Any) -> dict[str, str]:  # noqa: ANN401
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return {error["parameter"]: error["detail"] for error in answer.json()["errors"]}


async def kept(service: Service) -> int:
    alerts = (await service.get(ALERTS)).json()["data"]
    return len(alerts) + len((await service.get(BUDGETS)).json()["data"])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"thresholdCents": 0}, "thresholdCents"),
        ({"thresholdCents": -1}, "thresholdCents"),
        ({"thresholdCents": None}, "thresholdCents"),
        ({"alertType": "cost_spike"}, "thresholdPercent"),
        ({"alertType": "cost_spike", "thresholdPercent": 0}, "thresholdPercent"),
        ({"alertType": "anomaly", "thresholdPercent": -5}, "thresholdPercent"),
        ({"alertType": "yearly_limit"}, "alertType"),
        ({"alertType": 7}, "alertType"),
        ({"organizationId": "nobody"}, "organizationId"),
        ({"scope": {"agent_id": "report_writer"}}, "scope"),
        ({"scope": {"feature": "reports"}}, "scope"),
        ({"scope": {"user_id": "peter"}}, "scope"),
        ({"notificationFrequency": "often"}, "notificationFrequency"),
        ({"notificationEmails": ["nobody"]}, "notificationEmails"),
        ({"silencedUntil": "tomorrow"}, "silencedUntil"),
        ({"slackWebhook": "not an address"}, "slackWebhook"),
        ({"slackWebhook": "http://93.184.216.34/plain"}, "slackWebhook"),
        ({"webhookUrl": "https://user:word@93.184.216.34/"}, "webhookUrl"),
        ({"webhookUrl": "https://10.0.0.8/secret"}, "webhookUrl"),
        ({"webhookUrl": "https://169.254.169.254/latest/secret"}, "webhookUrl"),
        ({"webhookUrl": "https://[fd00:ec2::254]/secret"}, "webhookUrl"),
        ({"webhookUrl": "https://localhost/secret"}, "webhookUrl"),
    ],
)
async def test_an_alert_that_makes_no_sense_is_refused_by_the_fields_name(
    service: Service, change: dict[str, Any], field: str
) -> None:
    before = await kept(service)
    answer = await service.ask("POST", ALERTS, json={**ALERT, **change})
    told = wrong(answer)
    assert {name.partition("[")[0].partition(".")[0] for name in told} == {field}, told
    assert "secret" not in answer.text
    assert await kept(service) == before


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"limit_usd": "0"}, "limit_usd"),
        ({"limit_usd": "-1"}, "limit_usd"),
        ({"limit_usd": "much"}, "limit_usd"),
        ({"thresholds": [0]}, "thresholds"),
        ({"thresholds": [-80]}, "thresholds"),
        ({"thresholds": []}, "thresholds"),
        ({"window": "yearly"}, "window"),
        ({"tenant_id": "nobody"}, "tenant_id"),
        ({"scope": {"agent_id": "report_writer"}}, "scope"),
        ({"scope": {"feature": "reports"}}, "scope"),
        ({"scope": {"user_id": "peter"}}, "scope"),
        ({"scope": {"colour": "red"}}, "scope"),
    ],
)
async def test_a_budget_that_makes_no_sense_is_refused_by_the_fields_name(
    service: Service, change: dict[str, Any], field: str
) -> None:
    before = await kept(service)
    told = wrong(await service.ask("POST", BUDGETS, json={**BUDGET, **change}))
    assert {name.partition("[")[0].partition(".")[0] for name in told} == {field}, told
    assert await kept(service) == before


async def test_its_own_agent_and_one_that_has_not_called_yet_are_taken(service: Service) -> None:
    for agent_id in ("dexter", "hired_tomorrow"):
        made = await service.ask("POST", BUDGETS, json={**BUDGET, "scope": {"agent_id": agent_id}})
        assert made.status_code == 201, made.text
        url = f"{BUDGETS}/{made.json()['data']['id']}"
        assert set(wrong(await service.ask("PATCH", url, json={"scope": {"agent_id": "report_writer"}}))) == {"scope"}
        assert (await service.ask("DELETE", url)).status_code == 204


async def test_a_budget_of_all_tenants_counts_for_who_sees_all_and_tells_one_tenant_nothing(service: Service) -> None:
    """The two tenants' two calls of $0.000001 make $0.000002."""
    of_all = {**BUDGET, "tenant_id": None, "limit_usd": "0.000002"}
    assert set(wrong(await service.ask("POST", BUDGETS, json={**of_all, "scope": {"feature": "chat"}}))) == {"scope"}
    made = await service.ask("POST", BUDGETS, json=of_all)
    assert made.status_code == 201, made.text
    shown = made.json()["data"]
    url, viewer = f"{BUDGETS}/{shown['id']}", (await service.new_key("viewer", "watched"))["key"]
    assert shown["tenant_id"] is None
    one = (await service.get(url)).json()["data"]
    assert (one["spent_usd"], one["status"]) == ("0.000002", "exceeded")
    check = (await service.get(f"{BUDGETS}/check", tenant_id="watched")).json()["data"]
    assert (check["status"], check["budget_id"]) == ("exceeded", shown["id"])
    own = (await service.get(f"{BUDGETS}/check", viewer, tenant_id="watched")).json()["data"]
    assert (own["status"], own["budget_id"]) == ("ok", None)
    assert (await service.get(url, viewer)).status_code == 404
    assert (await service.get(BUDGETS, viewer)).json()["data"] == []
    page = await service.get("/budgets")
    assert page.status_code == 200 and "all tenants" in page.text
    changed = await service.ask("PATCH", url, json={"limit_usd": "1"})
    assert changed.json()["data"]["limit_usd"] == "1"
    assert (await service.get(f"{BUDGETS}/check", tenant_id="watched")).json()["data"]["status"] == "ok"
    assert (await service.ask("DELETE", url)).status_code == 204


async def test_a_name_that_leads_to_a_private_address_is_refused_and_one_that_leads_nowhere_now_is_taken(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(host: str, *_more: object, **_named: object) -> list[Any]:
        if host == "away.example":
            raise socket.gaierror
        # One private address among public ones.
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 443)) for ip in ("93.184.216.34", "10.1.2.3")]

    monkeypatch.setattr("services.runtime.addresses.socket.getaddrinfo", resolve)
    told = wrong(await service.ask("POST", ALERTS, json={**ALERT, "webhookUrl": "https://inside.example/secret"}))
    assert told == {"webhookUrl": "inside.example is a private address; allow it in SPENDSTREAM_ALLOW_PRIVATE_WEBHOOKS"}
    made = await service.ask("POST", ALERTS, json={**ALERT, "webhookUrl": "https://away.example/secret"})
    assert made.status_code == 201
    shown = made.json()["data"]
    assert shown["webhookUrl"] == "https://away.example/…"
    # A change that keeps the masked address resolves nothing.
    url = f"{ALERTS}/{shown['id']}"
    assert (await service.ask("PUT", url, json={**ALERT, "webhookUrl": shown["webhookUrl"]})).status_code == 200
    told = wrong(await service.ask("PUT", url, json={**ALERT, "webhookUrl": "https://inside.example/secret"}))
    assert set(told) == {"webhookUrl"}
    assert (await service.ask("DELETE", url)).status_code == 204


async def test_a_name_server_that_does_not_answer_holds_nobody_up(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = asyncio.Event()
    loop = asyncio.get_running_loop()

    def never(*_asked: object, **_named: object) -> list[Any]:
        asyncio.run_coroutine_threadsafe(released.wait(), loop).result(20)
        return []

    monkeypatch.setattr("services.runtime.addresses.socket.getaddrinfo", never)
    monkeypatch.setattr("services.query.api.webhooks._RESOLVE_SECONDS", 0.2)
    made = await service.ask("POST", ALERTS, json={**ALERT, "webhookUrl": "https://slow.example/secret"})
    released.set()
    assert made.status_code == 201
    assert (await service.ask("DELETE", f"{ALERTS}/{made.json()['data']['id']}")).status_code == 204
