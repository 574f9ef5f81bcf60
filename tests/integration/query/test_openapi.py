"""What /openapi.json says is what the service does: schemathesis asks, with an admin's key and with one of a tenant.

A bounded number of made-up requests an operation here; SPENDSTREAM_OPENAPI_EXAMPLES asks for more.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import positive_data_acceptance

from services.query.main import build_parts
from services.query.settings import QuerySettings
from services.runtime.sealing import make_sealing_key
from tests.e2e.pages.conftest import running_site
from tests.integration.query.conftest import ADMIN_KEY, SECRET
from tests.integration.query.store import add_tenant, fold, insert_raw, random_events

EXAMPLES = int(os.environ.get("SPENDSTREAM_OPENAPI_EXAMPLES", "4"))
NOW = datetime.now(UTC)
ADMIN = "/api/v1/admin/llm-costs"
IDS = {
    "tenant_id": "acme", "feature": "chat", "request_id": "req-7", "run_id": "run-7", "agent_id": "dexter",
}  # fmt: skip


@dataclass(frozen=True)
class Described:
    url: str
    keys: dict[str, str]
    schema: BaseSchema


@pytest.fixture(scope="module")
def described(database: str) -> Iterator[Described]:
    """A query service on a port, two tenants with a week of calls, and what it says of itself."""
    with psycopg.connect(database) as conn:
        for tenant_id in ("acme", "bigco"):
            tenant = add_tenant(conn, tenant_id)
            insert_raw(conn, random_events(random.Random(tenant), tenant, NOW - timedelta(days=7), NOW, 300))
        fold(conn)
    parts = build_parts(
        QuerySettings(
            database_dsn=SecretStr(database), admin_key=SecretStr(ADMIN_KEY), session_secret=SecretStr(SECRET),
            address_key=SecretStr(make_sealing_key()),
        )
    )  # fmt: skip
    with running_site(parts, database) as site:
        made = httpx.post(
            f"{site.url}/api/v1/keys", headers={"authorization": f"Bearer {ADMIN_KEY}"},
            json={"role": "viewer", "tenant_id": "acme", "name": "tenant"},
        )  # fmt: skip
        keys = {"admin": ADMIN_KEY, "tenant": made.json()["data"]["key"]}
        description = httpx.get(f"{site.url}/openapi.json").json()
        schema = schemathesis.openapi.from_dict(description)
        schema.config.update(base_url=site.url)
        yield Described(site.url, keys, schema)


def headers(described: Described, who: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {described.keys[who]}"}


def operations(described: Described) -> Iterator[Any]:
    for found in described.schema.get_all_operations():
        assert isinstance(found, Ok), found
        yield found.ok()


def made_up(described: Described, who: str, operation: Any) -> Callable[[], None]:  # noqa: ANN401
    """Asks seeded requests of one operation, valid and invalid ones, and holds each answer against the description."""

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(case=st.one_of(strategies(operation)))
    def ask(case: Any) -> None:  # noqa: ANN401
        if operation.path.endswith("/stream"):
            # It lasts an hour by default.
            case.query = {**(case.query or {}), "max_seconds": "1"}
        # A valid request may be refused for what no schema says: a range that ends before it begins.
        case.call_and_validate(headers=headers(described, who), excluded_checks=[positive_data_acceptance])

    return ask


def strategies(operation: Any) -> list[Any]:  # noqa: ANN401
    """Requests that fit the description, of things that are there too, and some that don't fit."""
    found = [operation.as_strategy()]
    names = [parameter.name for parameter in operation.path_parameters]
    if names and set(names) <= set(IDS):
        found.append(operation.as_strategy(path_parameters={name: IDS[name] for name in names}))
    if (operation.query or operation.body) and not operation.path.endswith("/stream"):
        found.append(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    return found


@pytest.mark.parametrize("who", ["admin", "tenant"])
def test_made_up_requests_are_answered_as_described(described: Described, who: str) -> None:
    failures = []
    for operation in operations(described):
        try:
            made_up(described, who, operation)()
        except (Exception, BaseExceptionGroup) as failure:
            failures.append(f"{operation.label}: {failure!r}"[:3000])
            failures += [f"    {one}"[:1500] for one in getattr(failure, "exceptions", ())]
    assert not failures, "\n".join(failures)
