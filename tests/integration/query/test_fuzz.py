"""Seeded nonsense at every route: refused or answered, never a 5xx."""

from __future__ import annotations

import json
import random
import re
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from tests.integration.query.conftest import Service
from tests.integration.query.store import Event, add_tenant, fold, insert_raw

NASTY = [
    "", " ", "0", "-1", "1e9", "99999999999999999999", "null", "true", "NaN", "acme", "chat", "2026-11-01",
    "2026-11-22", "2026-11-22T10:00:00Z", "0000-00-00", "day", "hour", "cost_usd", "cost_usd,calls", "feature",
    "feature,model", "%00", "\x00", "\ud7ff", "💸", "a" * 300, "../..", "'; DROP TABLE tenant; --", "%s", "%(p0)s",
    "{}", "bzA", "UTC", "Asia/Kathmandu", "Europe/Berlin", "asc", "bucket", "minute", "week", "month", "all", "csv",
    "2026-11", "9999-12-31T23:59:59.999999Z", "2026-11-01T00:00:00+23:59", "latency_ms_p95",
]  # fmt: skip
BODIES: list[Any] = [
    None, 0, "", [], {}, "x", [1], 1.5, True, "\ud800", "\x00", {"a": 1}, -1, 10**40, "acme", "daily",
    {"agent_id": "x"}, ["a@example.com"], "https://example.com/x", "viewer", 100, "0.1", "NaN",
]  # fmt: skip
ROUNDS = 12


@pytest.fixture(scope="module", autouse=True)
def seeded(database: str) -> None:
    with psycopg.connect(database) as conn:
        tenant = add_tenant(conn, "acme", "Asia/Kathmandu")
        insert_raw(conn, [Event(datetime(2026, 11, 22, 9, n, tzinfo=UTC), tenant, n, 1, {}) for n in range(9)])
        fold(conn)


def parameters_of(operation: dict[str, Any]) -> list[str]:
    return [one["name"] for one in operation.get("parameters", []) if one["in"] == "query"]


def fields_of(description: dict[str, Any], operation: dict[str, Any]) -> list[str]:
    text = json.dumps(operation.get("requestBody", {}))
    found = re.search(r"#/components/schemas/(\w+)", text)
    return list(description["components"]["schemas"][found[1]]["properties"]) if found else []


@pytest.mark.parametrize("seed", range(4))
async def test_nonsense_is_never_a_server_error(service: Service, seed: int) -> None:
    rng = random.Random(seed)
    description = service.app.openapi()
    tried = 0
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            for _ in range(ROUNDS):
                url = re.sub(r"\{\w+\}", lambda _: rng.choice(NASTY[:40]).replace("\x00", "%00") or "x", path)
                asked = {name: rng.choice(NASTY) for name in parameters_of(operation) if rng.random() < 0.3}
                if path.endswith("/stream"):
                    asked["max_seconds"] = rng.choice(["1", "0", "x"])
                fields = fields_of(description, operation)
                body = {name: rng.choice(BODIES) for name in fields if rng.random() < 0.7} if fields else None
                content = None if body is None else json.dumps(body).encode()
                answer = await service.ask(
                    method.upper(), url, params=asked, content=content, headers={"content-type": "application/json"}
                )
                assert answer.status_code < 500, (method, url, asked, body, answer.text[:300])
                tried += 1
    assert tried > 400
