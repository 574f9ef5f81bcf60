"""Keys on the real database: made, known, revoked, and still known while the database is away."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from services.contracts.errors import Retry
from services.runtime.keys import FRESH_SECONDS, STALE_SECONDS, KeyStore


@dataclass
class Clock:
    seconds: float = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
async def pool(database: str) -> AsyncIterator[AsyncConnectionPool]:
    async with AsyncConnectionPool(database, min_size=1, max_size=2, timeout=1, open=False) as opened:
        yield opened


@pytest.fixture
def tenant_id() -> str:
    return f"tenant-{uuid.uuid4().hex[:8]}"


async def test_a_key_made_is_known_with_its_tenant(pool: AsyncConnectionPool, database: str, tenant_id: str) -> None:
    store = KeyStore(pool, None)
    made = await store.create("ingest", tenant_id, "billing")
    principal = await store.authenticate(made.key)
    assert principal is not None
    assert (principal.key_id, principal.name, principal.role, principal.tenant_id) == (
        made.key_id,
        "billing",
        "ingest",
        tenant_id,
    )
    with psycopg.connect(database) as connection:
        stored = connection.execute("SELECT key_hash FROM api_key WHERE key_id = %s", (made.key_id,)).fetchone()
        assert stored is not None
        assert made.key.encode() not in bytes(stored[0])
        assert connection.execute("SELECT tz FROM tenant WHERE tenant_id = %s", (tenant_id,)).fetchone() == ("UTC",)


async def test_a_second_key_of_a_tenant_leaves_the_tenant_alone(pool: AsyncConnectionPool, tenant_id: str) -> None:
    store = KeyStore(pool, None)
    await store.create("ingest", tenant_id, "one")
    await store.create("viewer", tenant_id, "two")
    assert [(k.role, k.name) for k in await store.list_keys(tenant_id)] == [("viewer", "two"), ("ingest", "one")]


@pytest.mark.parametrize(("role", "tenant_id"), [("ingest", None), ("ingest", ""), ("admin", "acme"), ("root", None)])
async def test_roles_and_tenants_that_do_not_go_together_are_refused(
    pool: AsyncConnectionPool, role: str, tenant_id: str | None
) -> None:
    with pytest.raises(ValueError, match=r"role|tenant_id"):
        await KeyStore(pool, None).create(role, tenant_id, "x")  # type: ignore[arg-type]


async def test_nobody_has_an_unknown_key(pool: AsyncConnectionPool) -> None:
    assert await KeyStore(pool, "sps_admin").authenticate("sps_unknown") is None


async def test_the_settings_admin_key_needs_no_database() -> None:
    store = KeyStore(AsyncConnectionPool("host=127.0.0.1 port=1", open=False), "sps_admin")
    principal = await store.authenticate("sps_admin")
    assert principal is not None
    assert (principal.role, principal.tenant_id) == ("admin", None)


async def test_a_revoked_key_stops_here_at_once_and_elsewhere_soon(pool: AsyncConnectionPool, tenant_id: str) -> None:
    clock = Clock()
    here, elsewhere = KeyStore(pool, None), KeyStore(pool, None, clock)
    made = await here.create("viewer", tenant_id, "x")
    assert await here.authenticate(made.key)
    assert await elsewhere.authenticate(made.key)
    assert await here.revoke(made.key_id)
    assert not await here.revoke(made.key_id)
    assert await here.authenticate(made.key) is None
    clock.seconds += FRESH_SECONDS
    assert await elsewhere.authenticate(made.key) is None


@pytest.mark.parametrize("key_id", ["", "no-uuid", str(uuid.UUID(int=0))])
async def test_revoking_what_is_not_there_says_so(pool: AsyncConnectionPool, key_id: str) -> None:
    assert not await KeyStore(pool, None).revoke(key_id)


async def test_known_keys_work_for_a_while_without_the_database(pool: AsyncConnectionPool, tenant_id: str) -> None:
    clock = Clock()
    store = KeyStore(pool, None, clock)
    made = await store.create("ingest", tenant_id, "x")
    known = await store.authenticate(made.key)
    await pool.close()  # from here on the database does not answer
    clock.seconds += STALE_SECONDS - 1
    assert await store.authenticate(made.key) == known
    with pytest.raises(Retry):
        await store.authenticate("sps_never-seen")
    clock.seconds += 2
    with pytest.raises(Retry):
        await store.authenticate(made.key)
