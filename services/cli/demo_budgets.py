"""Names the demo's tenants and gives some of globex's agents budgets, where the query service offers that."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal

from services.cli.client import Client, Unreachable
from services.cli.demo_globex import TENANT_ID
from services.cli.demo_story import TENANT_NAMES

# What part of its budget an agent has used when the demo starts: one is over, one is close, others are fine.
_USED = {
    "code_helper": Decimal("1.12"),
    "report_writer": Decimal("0.86"),
    "support_agent": Decimal("0.55"),
    "search_agent": Decimal("0.31"),
}
_CENT = Decimal("0.01")
_MADE = (200, 201)
_TAKEN = 409


def name_tenants(client: Client, say: Callable[[str], None]) -> None:
    """Gives tenants their names; without names the pages show the ids."""
    for tenant_id, name in TENANT_NAMES.items():
        status = client.change("POST", "/api/v1/tenants", {"tenant_id": tenant_id, "name": name})
        if status == _TAKEN:
            status = client.change("PATCH", f"/api/v1/tenants/{tenant_id}", {"name": name})
        if status not in _MADE:
            say(f"Tenants stay without names: POST /api/v1/tenants answers {status}.")
            return


def set_budgets(client: Client, today: date, say: Callable[[str], None]) -> None:
    """Monthly budgets measured by what the agents have spent this month."""
    params = {"filter[tenant_id]": TENANT_ID, "from": today.replace(day=1).isoformat(), "group_by": "agent_id"}
    try:
        rows = client.get("/api/v1/costs", {**params, "measures": "cost_usd", "tz": "UTC"})["data"]
    except Unreachable as error:
        say(f"globex has no budgets: {error}")
        return
    for row in rows:
        used = _USED.get(row["agent_id"])
        spent = Decimal(row["cost_usd"])
        if used is None or spent < _CENT:
            continue
        budget = {
            "tenant_id": TENANT_ID,
            "scope": {"agent_id": row["agent_id"]},
            "window": "monthly",
            "limit_usd": str(max((spent / used).quantize(_CENT), _CENT)),
            "thresholds": [80, 100],
        }
        status = client.change("POST", "/api/v1/budgets", budget)
        if status not in _MADE:
            say(f"globex has no budgets: POST /api/v1/budgets answers {status}.")
            return
