"""What is asked of a store of months: everything a page calls, lists and details, pages themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode

Ask = Callable[[str], Any]
FAST_MS: Final = 100
LIST_MS: Final = 300
_ADMIN = "/api/v1/admin/llm-costs"


@dataclass(frozen=True, slots=True)
class Question:
    """`paths` are the same question of other tenants, features, ids; asked in turn. `limit_ms` None: only told."""

    name: str
    limit_ms: int | None
    paths: tuple[str, ...]
    by_viewer: bool = False


def questions(ask: Ask, tenants: tuple[str, ...]) -> Iterator[Question]:
    """`ask` answers a path with its JSON; ids to ask for are found with it. Of each tenant's own things a viewer's key
    asks too: it reads through other views."""
    yield from _of_all()
    for question in (*_of_tenants(tenants), *_lists(ask, tenants)):
        yield question
        yield Question(f"{question.name}, viewer", question.limit_ms, question.paths, by_viewer=True)
    yield from _of_admins(tenants)
    yield from _pages(tenants)


def _url(path: str, **parameters: object) -> str:
    return f"{path}?{urlencode(parameters)}" if parameters else path


def _costs(days: int, **parameters: object) -> str:
    start = datetime.now(UTC).date() - timedelta(days=days - 1)
    named = {f"filter[{k.removeprefix('of_')}]" if k.startswith("of_") else k: v for k, v in parameters.items()}
    return _url("/api/v1/costs", **{"from": start.isoformat(), **named})


def _of_all() -> Iterator[Question]:
    yield Question(
        "costs of all, 30 days by day and provider", FAST_MS, (_costs(30, granularity="day", group_by="provider"),)
    )
    yield Question(
        "costs of all, 7 days by hour and provider",
        FAST_MS,
        (_costs(7, granularity="hour", group_by="provider", limit=1000),),
    )
    yield Question(
        "costs of all, 90 days by day and feature",
        FAST_MS,
        (_costs(90, granularity="day", group_by="feature", limit=1000),),
    )
    yield Question("costs of all, by tenant and model", FAST_MS, (_costs(30, group_by="tenant_id,model"),))
    yield Question(
        "costs of all, model with percentiles",
        FAST_MS,
        (_costs(30, group_by="model", measures="calls,latency_ms_p50,latency_ms_p95"),),
    )
    yield Question("costs of all, in Kathmandu", FAST_MS, (_costs(30, granularity="day", tz="Asia/Kathmandu"),))
    for name in ("agents", "providers", "models", "channels", "features", "users"):
        yield Question(f"{name} of all", FAST_MS, (f"/api/v1/{name}",))


def _of_tenants(tenants: tuple[str, ...]) -> Iterator[Question]:
    def each(make: Callable[[str], str]) -> tuple[str, ...]:
        return tuple(make(tenant) for tenant in tenants)

    yield Question(
        "costs of a tenant, 30 days by day and provider",
        FAST_MS,
        each(lambda t: _costs(30, granularity="day", group_by="provider", of_tenant_id=t)),
    )
    yield Question(
        "costs of a tenant, 72 h by hour", FAST_MS, each(lambda t: _costs(3, granularity="hour", of_tenant_id=t))
    )
    yield Question(
        "costs of a tenant, 90 days by hour",
        FAST_MS,
        each(lambda t: _costs(90, granularity="hour", of_tenant_id=t, limit=1000)),
    )
    yield Question(
        "costs of a tenant, a day by minute",
        FAST_MS,
        each(lambda t: _costs(1, granularity="minute", of_tenant_id=t, limit=1000)),
    )
    yield Question(
        "costs of a customer, 30 days",
        FAST_MS,
        each(lambda t: _costs(30, granularity="day", of_tenant_id=t, of_customer_id="customer-3")),
    )
    for name in ("agents", "providers", "models", "channels", "features", "users"):
        yield Question(
            f"{name} of a tenant", FAST_MS, tuple(_url(f"/api/v1/{name}", tenant_id=tenant) for tenant in tenants)
        )
    yield Question("customers, 24 hours", FAST_MS, each(lambda t: f"/tenants/{t}/customers"))
    yield Question("customers, 30 days", FAST_MS, each(lambda t: f"/tenants/{t}/customers?startDate={_back(29)}"))
    for name in ("summary", "by-provider", "message-volume", "budget-alerts"):
        yield Question(f"portal {name}", FAST_MS, tuple(f"/api/portal/usage/{tenant}/{name}" for tenant in tenants))
    yield Question("cost tracking, month", FAST_MS, each(lambda t: f"/api/cost-tracking?tenantId={t}&period=month"))
    yield Question("cost tracking, all", FAST_MS, each(lambda t: f"/api/cost-tracking?tenantId={t}&period=all"))
    yield Question("cost tracking, trends", FAST_MS, each(lambda t: f"/api/cost-tracking/trends?tenantId={t}"))
    yield Question(
        "cost tracking, an agent", FAST_MS, each(lambda t: f"/api/cost-tracking/agents/researcher?tenantId={t}")
    )
    month = f"{datetime.now(UTC):%Y-%m}"
    yield Question(
        "cost tracking, report",
        FAST_MS,
        each(lambda t: f"/api/cost-tracking/reports/monthly?month={month}&tenantId={t}"),
    )
    yield Question("budgets", FAST_MS, each(lambda t: _url("/api/v1/budgets", tenant_id=t)))
    yield Question(
        "budgets/check", FAST_MS, each(lambda t: _url("/api/v1/budgets/check", tenant_id=t, agent_id="finder"))
    )
    yield Question("unpriced", FAST_MS, each(lambda t: _url("/api/v1/prices/unpriced", tenant_id=t)))


def _back(days: int) -> str:
    return (datetime.now(UTC).date() - timedelta(days=days)).isoformat()


def _lists(ask: Ask, tenants: tuple[str, ...]) -> Iterator[Question]:
    def paths(make: Callable[[str], str]) -> tuple[str, ...]:
        return tuple(make(tenant) for tenant in tenants)

    features = paths(lambda t: _url("/api/v1/features/rag/requests", tenant_id=t, limit=200))
    rare = paths(lambda t: _url("/api/v1/features/nobody-has-it/requests", tenant_id=t, limit=200))
    yield Question("requests of a feature", LIST_MS, features)
    yield Question("requests of a feature that has none", LIST_MS, rare)
    requests = [row for path in features for row in ask(path)["data"][:20:2]]
    yield Question(
        "a request",
        LIST_MS,
        tuple(_url(f"/api/v1/requests/{quote(row['request_id'])}", tenant_id=row["tenant_id"]) for row in requests),
    )
    runs = paths(lambda t: _url("/api/v1/runs", tenant_id=t))
    yield Question("runs", LIST_MS, runs)
    yield Question(
        "runs of an agent", LIST_MS, paths(lambda t: _url("/api/v1/runs", tenant_id=t, agent_id="librarian"))
    )
    found = [row for path in runs for row in ask(path)["data"][:20:2]]
    yield Question(
        "a run",
        LIST_MS,
        tuple(_url(f"/api/v1/runs/{quote(row['run_id'])}", tenant_id=row["tenant_id"]) for row in found),
    )
    yield Question("recent calls", LIST_MS, paths(lambda t: f"/api/cost-tracking/recent?tenantId={t}"))
    yield Question(
        "recent calls of a user", LIST_MS, paths(lambda t: f"/api/cost-tracking/recent?tenantId={t}&userId=user-501")
    )


def _of_admins(tenants: tuple[str, ...]) -> Iterator[Question]:
    yield Question("runs of all", LIST_MS, ("/api/v1/runs",))
    yield Question("recent calls of all", LIST_MS, ("/api/cost-tracking/recent",))
    yield Question("requests of a feature of all", LIST_MS, ("/api/v1/features/chat/requests",))
    yield Question("cost tracking of all, month", FAST_MS, ("/api/cost-tracking?period=month",))
    yield Question("cost tracking of all, trends", FAST_MS, ("/api/cost-tracking/trends",))
    yield Question("admin global", FAST_MS, (f"{_ADMIN}/global",))
    yield Question("admin by-org", FAST_MS, (f"{_ADMIN}/by-org",))
    yield Question("admin by-org/{id}", FAST_MS, tuple(f"{_ADMIN}/by-org/{tenant}" for tenant in tenants))
    yield Question("admin by-model", FAST_MS, (f"{_ADMIN}/by-model",))
    yield Question("admin trends, 30 days", FAST_MS, (f"{_ADMIN}/trends",))
    yield Question("admin trends, 7 days by hour", FAST_MS, (f"{_ADMIN}/trends?days=7&groupBy=hour",))
    for path in (
        f"{_ADMIN}/alerts",
        f"{_ADMIN}/alerts/history",
        "/api/v1/tenants",
        "/api/v1/keys",
        "/api/v1/prices",
        "/api/v1/admin-log",
    ):
        yield Question(path.removeprefix("/api/v1/").replace("admin/llm-costs/", ""), FAST_MS, (path,))


def _pages(tenants: tuple[str, ...]) -> Iterator[Question]:
    biggest = tenants[0]
    for path in (
        "/", "/?range=30d", "/?range=3m", f"/?tenant={biggest}", f"/?tenant={biggest}&range=30d", f"/usage/{biggest}",
        "/orgs", f"/orgs/{biggest}", "/features", "/features/chat", "/runs", "/alerts", "/budgets", "/prices", "/keys",
    ):  # fmt: skip
        yield Question(f"page {path}", None, (path,))
