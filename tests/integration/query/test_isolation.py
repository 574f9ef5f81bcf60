"""A key of one tenant sees nothing of another, on any route there is, by any id it can guess."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.integration.query.conftest import Service
from tests.integration.query.store import Event, add_tenant, fold, insert_raw

# Whatever is beta's carries this word.
SECRET = "betasecret"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
TENANT_PARAMETERS = ("tenant_id", "tenantId", "filter[tenant_id]", "tenant")


@dataclass(frozen=True)
class Other:
    """What alpha's key tries to reach."""

    ids: dict[str, str]
    alpha_key: str


@pytest.fixture(scope="module")
def seeded(database: str) -> dict[str, str]:
    now = datetime.now(UTC)
    with psycopg.connect(database) as conn:
        alpha, beta = add_tenant(conn, "alpha"), add_tenant(conn, SECRET)
        texts = (
            "feature",
            "agent_id",
            "model",
            "provider",
            "run_id",
            "request_id",
            "customer_id",
            "user_id",
            "channel",
        )
        theirs = {name: f"{SECRET}-{name}" for name in (*texts, "region", "section_path", "prompt_template_id")}
        events = [Event(now - timedelta(minutes=n), beta, 98_765_432_100_000, 1, theirs) for n in range(1, 200, 7)]
        ours = {"feature": "chat", "run_id": "run", "request_id": "req", "agent_id": "dexter"}
        insert_raw(conn, [*events, Event(now - timedelta(minutes=3), alpha, 5, 1, ours)])
        fold(conn)
        conn.execute("INSERT INTO agent_label VALUES (%s, %s, %s)", (beta, theirs["agent_id"], f"{SECRET} label"))
        budget = conn.execute(
            "INSERT INTO budget (tenant_id, scope, budget_window, limit_pico_usd) "
            "VALUES (%s, '{}', 'daily', 1) RETURNING budget_id::text", (SECRET,),
        ).fetchone()  # fmt: skip
        rule = conn.execute(
            "INSERT INTO alert_rule (name, alert_type, threshold_cents, tenant_id) "
            "VALUES (%s, 'daily_limit', 1, %s) RETURNING rule_id::text", (f"{SECRET} rule", SECRET),
        ).fetchone()  # fmt: skip
    assert budget is not None
    assert rule is not None
    return {**theirs, "tenant_id": SECRET, "budget_id": budget[0], "rule_id": rule[0]}


@pytest.fixture
async def other(service: Service, seeded: dict[str, str]) -> Other:
    beta_key, alpha_key = await service.new_key("viewer", SECRET), await service.new_key("viewer", "alpha")
    return Other({**seeded, "key_id": beta_key["id"]}, alpha_key["key"])


def paths(service: Service, ids: dict[str, str]) -> list[tuple[str, str]]:
    """Every route with beta's ids in its path, and its methods."""
    found = []
    for route in service.routes():
        path = re.sub(r"\{(\w+)(?::path)?\}", lambda match: ids.get(match[1], f"{SECRET}-{match[1]}"), route.path)
        found += [(method, path) for method in METHODS if method in (route.methods or ())]
    assert len(found) > 40
    return found


async def test_no_route_says_anything_of_another_tenant(service: Service, other: Other) -> None:
    for method, path in paths(service, other.ids):
        variants: list[dict[str, str]] = [{}]
        if method == "GET":
            variants += [{name: SECRET} for name in TENANT_PARAMETERS]
        for parameters in variants:
            if path.endswith("/stream"):
                parameters = {**parameters, "max_seconds": "1"}
            answer = await service.ask(method, path, other.alpha_key, params=parameters)
            assert answer.status_code < 500, (method, path, parameters, answer.text[:300])
            assert "98765" not in answer.text.replace(",", ""), (method, path, parameters)
            if path.startswith(("/api/", "/tenants/")):
                assert SECRET not in answer.text, (method, path, parameters, answer.text[:300])


async def test_of_pages_nothing_is_shown_but_what_was_asked_for(service: Service, other: Other) -> None:
    for method, path in paths(service, other.ids):
        if method != "GET" or path.startswith(("/api/", "/tenants/")) or SECRET in path:
            continue
        answer = await service.ask("GET", path, other.alpha_key, headers={"accept": "text/html"})
        assert SECRET not in answer.text, path


async def test_a_foreign_id_and_an_unknown_one_look_the_same(service: Service, other: Other) -> None:
    unknown = {name: value.replace(SECRET, "nobodys") for name, value in other.ids.items()}
    unknown |= dict.fromkeys(("budget_id", "key_id", "rule_id"), "00000000-0000-4000-8000-000000000000")
    theirs, nobodys = paths(service, other.ids), paths(service, unknown)
    compared = 0
    for (method, path), (_, like) in zip(theirs, nobodys, strict=True):
        if path == like or not path.startswith(("/api/", "/tenants/")):
            continue
        first, second = [await service.ask(method, one, other.alpha_key) for one in (path, like)]
        assert (first.status_code, first.content) == (second.status_code, second.content), (method, path)
        assert first.status_code in (400, 403, 404) or path.endswith(f"/{SECRET}-feature/requests"), (method, path)
        compared += 1
    assert compared >= 15


async def test_without_a_key_nothing_is_answered(service: Service, other: Other) -> None:
    open_to_all = {"/healthz", "/readyz", "/metrics", "/sign-in", "/sign-out", "/docs", "/docs/start.js"}
    for method, path in paths(service, other.ids):
        if path in open_to_all or path.startswith("/static/"):
            continue
        for key in (None, "sps_wrong"):
            answer = await service.ask(method, path, key)
            # A page's form sends the browser to the sign-in page; the API says 401.
            asks_to_sign_in = answer.status_code == 303 and answer.headers["location"].startswith("/sign-in")
            refused = answer.status_code == 401 or (method != "GET" and answer.status_code in (400, 403))
            assert refused or asks_to_sign_in, (method, path, answer.status_code)
            assert "98765" not in answer.text


async def test_admins_routes_are_shut_to_viewers_of_all_tenants_too(service: Service, other: Other) -> None:
    viewer = await service.new_key("viewer", None)
    ingest = await service.new_key("ingest", "alpha")
    for path in (
        "/api/v1/keys",
        "/api/v1/admin-log",
        "/api/v1/admin/llm-costs/global",
        "/api/v1/admin/llm-costs/alerts",
    ):
        assert (await service.get(path, viewer["key"])).status_code == 403
    assert (await service.get("/api/v1/costs", viewer["key"])).status_code == 200
    assert (await service.get("/api/v1/costs", ingest["key"])).status_code == 403


async def test_an_owner_sees_its_own(service: Service, other: Other) -> None:
    costs = (await service.get("/api/v1/costs", other.alpha_key, group_by="tenant_id")).json()
    assert [row["tenant_id"] for row in costs["data"]] == ["alpha"]
    assert costs["totals"]["calls"] == 1
    tenants = (await service.get("/api/v1/tenants", other.alpha_key)).json()["data"]
    assert [tenant["tenant_id"] for tenant in tenants] == ["alpha"]
    assert (await service.get("/api/v1/requests/req", other.alpha_key)).status_code == 200
    assert (await service.get("/api/v1/runs/run", other.alpha_key)).status_code == 200


async def test_a_revoked_key_is_nobodys(service: Service, other: Other) -> None:
    made = await service.new_key("viewer", "alpha")
    assert (await service.get("/api/v1/costs", made["key"])).status_code == 200
    assert (await service.ask("DELETE", f"/api/v1/keys/{made['id']}")).status_code == 204
    assert (await service.get("/api/v1/costs", made["key"])).status_code == 401
