"""Lists in order of time, page by page, equal what raw rows say and stay put while rows come in."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection

from services.query.pages.ranges import Span
from services.query.pages.reading import count_runs
from tests.integration.query.conftest import Service
from tests.integration.query.store import Event, add_tenant, fold, insert_raw, random_events

NOW = datetime.now(UTC).replace(microsecond=0)
ADMIN = "/api/v1/admin/llm-costs"


@pytest.fixture(scope="module", autouse=True)
def seeded(database: str) -> None:
    """Two tenants over ten days: a busy last hour, days without a call, one rare feature."""
    rng = random.Random(7)
    with psycopg.connect(database) as conn:
        for tenant_id in ("acme", "bigco"):
            tenant = add_tenant(conn, tenant_id)
            events = random_events(rng, tenant, NOW - timedelta(days=10), NOW - timedelta(days=3), 300)
            events += random_events(rng, tenant, NOW - timedelta(minutes=50), NOW, 40)
            for number, event in enumerate(events):
                # A third of the calls are requests of their own; several at the same microsecond.
                event.values["request_id"] = "" if number % 3 == 0 else event.values["request_id"]
                if number % 7 == 0:
                    event.occurred_at = event.occurred_at.replace(minute=0, second=0, microsecond=0)
            for days in (9, 6):
                events.append(
                    Event(NOW - timedelta(days=days), tenant, 5, 1, {"feature": "rare", "run_id": "rare run"})
                )
            insert_raw(conn, events)
        fold(conn)


async def pages(
    service: Service,
    path: str,
    key: str,
    row_id: Callable[[dict[str, Any]], object],
    **asked: Any,  # noqa: ANN401
) -> list[list[object]]:
    """Every page of a list, by what identifies its rows."""
    found: list[list[object]] = []
    cursor: str | None = None
    while True:
        answer = await service.get(path, **asked, **({"cursor": cursor} if cursor else {}))
        assert answer.status_code == 200, answer.text
        found.append([row_id(row) for row in answer.json()["data"]])
        cursor = answer.json()[key]
        if cursor is None:
            return found


def raw(database: str, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database) as conn:
        return conn.execute(sql.encode()).fetchall()


@pytest.mark.parametrize("limit", [1_000, 17, 5])
async def test_requests_of_a_feature_page_by_page_are_all_there_are(
    service: Service, database: str, limit: int
) -> None:
    want = raw(database, """
        SELECT tenant_id, coalesce(nullif(request_id, ''), event_id) FROM usage_event JOIN tenant USING (tenant_no)
        WHERE feature = 'chat' GROUP BY tenant_id, tenant_no, request_id, 2
        ORDER BY max((occurred_at, tenant_no, event_key)::text) DESC""")  # fmt: skip
    got = await pages(
        service, "/api/v1/features/chat/requests", "next_cursor", lambda row: (row["tenant_id"], row["request_id"]),
        limit=limit,
    )  # fmt: skip
    assert all(len(page) == limit for page in got[:-1])
    flat = [row for page in got for row in page]
    assert len(flat) == len(set(flat))
    assert set(flat) == set(want)
    times = raw(database, """
        SELECT request_id, tenant_id, max(occurred_at) FROM usage_event JOIN tenant USING (tenant_no)
        WHERE feature = 'chat' AND request_id <> '' GROUP BY 1, 2""")  # fmt: skip
    newest = {(tenant, request): at for request, tenant, at in times}
    ordered = [newest[row] for row in flat if row in newest]
    assert ordered == sorted(ordered, reverse=True)


@pytest.mark.parametrize("limit", [1_000, 9])
async def test_runs_page_by_page_are_all_there_are(service: Service, database: str, limit: int) -> None:
    for agent in (None, "dexter"):
        where = f"WHERE agent_id = '{agent}'" if agent else ""
        want = raw(database, f"""
            SELECT tenant_id, run_id FROM run JOIN tenant USING (tenant_no) {where}
            ORDER BY started_at DESC, tenant_no DESC, run_id DESC""")  # fmt: skip
        asked = {"agent_id": agent} if agent else {}
        got = await pages(
            service, "/api/v1/runs", "next_cursor", lambda row: (row["tenant_id"], row["run_id"]), limit=limit, **asked
        )
        assert [row for page in got for row in page] == want


@pytest.mark.parametrize("limit", [1_000, 37])
async def test_recent_calls_page_by_page_are_all_there_are(service: Service, database: str, limit: int) -> None:
    for asked, where in (
        ({}, "true"),
        ({"userId": "u1", "agentId": "cassie"}, "user_id = 'u1' AND agent_id = 'cassie'"),
    ):
        want = raw(database, f"SELECT event_id FROM usage_event WHERE {where} "
                   "ORDER BY occurred_at DESC, tenant_no DESC, event_key DESC")  # fmt: skip
        got = await pages(
            service, "/api/cost-tracking/recent", "nextCursor", lambda row: (row["eventId"],), limit=limit, **asked
        )
        assert [row for page in got for row in page] == want


async def test_a_feature_that_is_rare_or_unknown_is_found_without_looking_at_all_calls(service: Service) -> None:
    rows = (await service.get("/api/v1/features/rare/requests", tenant_id="acme")).json()["data"]
    assert [row["occurred_at"][:10] for row in rows] == [f"{NOW - timedelta(days=days):%Y-%m-%d}" for days in (6, 9)]
    assert (await service.get("/api/v1/features/never/requests")).json()["data"] == []


async def test_rows_that_come_in_between_two_pages_move_nothing(service: Service, database: str) -> None:
    path, key = "/api/v1/features/rag/requests", "next_cursor"
    whole = (await pages(service, path, key, lambda row: row["request_id"], tenant_id="bigco"))[0]
    first = (await service.get(path, tenant_id="bigco", limit=10)).json()
    runs = (await service.get("/api/v1/runs", tenant_id="bigco", limit=5)).json()
    all_runs = [row["run_id"] for row in (await service.get("/api/v1/runs", tenant_id="bigco")).json()["data"]]
    with psycopg.connect(database) as conn:
        row = conn.execute("SELECT tenant_no FROM tenant WHERE tenant_id = 'bigco'").fetchone()
        assert row is not None
        again = str(first["data"][0]["request_id"])
        # One new request, and one more call of a request that page one showed.
        events = [
            Event(datetime.now(UTC), row[0], 5, 1, {"feature": "rag", "request_id": name, "run_id": f"run of {name}"})
            for name in ("new", again)
        ]
        insert_raw(conn, events, partition=10)
        fold(conn, "run_id LIKE 'run of %'")
    later = (await service.get(path, tenant_id="bigco", cursor=first["next_cursor"])).json()["data"]
    assert [row["request_id"] for row in (*first["data"], *later)] == whole
    later = (await service.get("/api/v1/runs", tenant_id="bigco", cursor=runs["next_cursor"])).json()["data"]
    assert [row["run_id"] for row in (*runs["data"], *later)] == all_runs


async def test_the_admin_log_tenants_and_alert_history_go_on_after_a_row(service: Service) -> None:
    for name in ("a", "b", "c"):
        await service.ask("POST", "/api/v1/tenants", json={"tenant_id": f"paged-{name}"})
    rule = {"name": "Paged", "alertType": "daily_limit", "thresholdCents": 100, "notificationEmails": ["a@example.com"]}
    made = (await service.ask("POST", f"{ADMIN}/alerts", json=rule)).json()["data"]["id"]
    for _ in range(3):
        await service.ask("POST", f"{ADMIN}/alerts/{made}/test")
        budget = {"tenant_id": "acme", "window": "daily", "limit_usd": "1"}
        await service.ask("POST", "/api/v1/budgets", json=budget)
    for path, key, name in (
        ("/api/v1/admin-log", "next_cursor", "entry_id"), (f"{ADMIN}/alerts/history", "nextCursor", "id"),
        ("/api/v1/tenants", "next_cursor", "tenant_id"), ("/api/v1/budgets", "next_cursor", "id"),
    ):  # fmt: skip
        whole = await pages(service, path, key, itemgetter(name))
        paged = await pages(service, path, key, itemgetter(name), limit=2)
        assert len(whole) == 1 and len(whole[0]) >= 3
        assert [row for page in paged for row in page] == whole[0], path


async def test_a_cursor_of_one_list_is_none_of_another(service: Service) -> None:
    cursor = (await service.get("/api/v1/runs", limit=1)).json()["next_cursor"]
    for path in ("/api/v1/features/chat/requests", "/api/v1/admin-log", "/api/v1/agents", "/api/cost-tracking/recent",
                 "/api/v1/tenants", "/api/v1/budgets", f"{ADMIN}/alerts/history", "/api/v1/costs"):  # fmt: skip
        answer = await service.get(path, cursor=cursor)
        assert answer.status_code == 400, path
        assert [error["parameter"] for error in answer.json()["errors"]] == ["cursor"]


async def test_runs_are_counted_where_they_started_whatever_partitions_their_calls_came_by(database: str) -> None:
    with psycopg.connect(database) as conn:
        single = add_tenant(conn, "of one partition")
        events = random_events(random.Random(3), single, NOW - timedelta(days=10), NOW, 80)
        for event in events:
            insert_raw(conn, [event], partition=6)
        fold(conn, f"tenant_no = {single}")
        spread = [row[0] for row in conn.execute("SELECT tenant_no FROM tenant WHERE tenant_id IN ('acme', 'bigco')")]
    started = raw(database, "SELECT tenant_no, agent_id, min(started_at) FROM run GROUP BY tenant_no, run_id, agent_id")
    async with await AsyncConnection.connect(database, options="-c TimeZone=UTC") as conn:
        for tenants in (None, (single,), tuple(spread), (single, spread[0]), ()):
            for days in ((11, 0), (8, 4), (9.5, 9.2), (3, 0)):
                span = Span(NOW - timedelta(days=days[0]), NOW - timedelta(days=days[1]))
                want = [
                    no for no, _, at in started if span.start <= at < span.end and (tenants is None or no in tenants)
                ]
                assert await count_runs(conn, span, tenants, None) == len(want), (tenants, days)
