"""What one caller's question brings into memory answers the next caller too, so it holds everyone's."""

from __future__ import annotations

import psycopg

from tests.integration.query.conftest import running_service
from tests.integration.query.store import add_tenant


async def test_a_tenant_that_asks_first_does_not_decide_what_others_are_told(database: str) -> None:
    with psycopg.connect(database) as conn:
        for tenant in ("first", "second"):
            add_tenant(conn, tenant)
            conn.execute(
                "INSERT INTO budget (tenant_id, budget_window, limit_pico_usd) VALUES (%s, 'daily', %s)",
                (tenant, 7 * 10**12),
            )
    async with running_service(database) as service:
        keys = {tenant: (await service.new_key("viewer", tenant))["key"] for tenant in ("first", "second")}
        for tenant in ("first", "second", "first"):
            answer = await service.get("/api/v1/budgets/check", keys[tenant], tenant_id=tenant)
            assert answer.status_code == 200, answer.text
            assert "7" in str(answer.json()["data"]["remaining_usd"]), answer.text
        foreign = await service.get("/api/v1/budgets/check", keys["first"], tenant_id="second")
        assert foreign.status_code == 404
