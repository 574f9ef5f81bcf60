"""Where API keys are kept, and who a key belongs to. Used by every door and by the query service."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from services.contracts.errors import Retry
from services.contracts.keys import ROLES, Principal, Role, hash_key, make_key

log = structlog.get_logger(__name__)

FRESH_SECONDS = 10.0
"""A revoked key works for at most this long."""
UNKNOWN_FRESH_SECONDS = 1.0
"""A key made after it was tried works after at most this long."""
STALE_SECONDS = 600.0
"""How long known keys still work while the database is away."""
DATABASE_TRY_AGAIN_SECONDS = 1.0
CACHE_ENTRIES_MAX = 10_000
"""Of known keys, and of unknown ones: apart, so that somebody who tries many does not push out those that exist."""

BOOTSTRAP_KEY_ID = "bootstrap"

# What is done to the table, for this store and for the command line.
MAKE_TENANT = "INSERT INTO tenant (tenant_id, name) VALUES (%(tenant_id)s, %(tenant_id)s) ON CONFLICT DO NOTHING"
MAKE_KEY = (
    "INSERT INTO api_key (key_hash, role, tenant_id, name) VALUES (%(key_hash)s, %(role)s, %(tenant_id)s, %(name)s) "
    "RETURNING key_id::text"
)
LIST_KEYS = (
    "SELECT key_id::text, role, tenant_id, name, created_at, revoked_at FROM api_key "
    "WHERE %(tenant_id)s::text IS NULL OR tenant_id = %(tenant_id)s "
    "ORDER BY created_at DESC, key_id LIMIT %(limit)s"
)
REVOKE_KEY = "UPDATE api_key SET revoked_at = now() WHERE key_id = %(key_id)s AND revoked_at IS NULL RETURNING key_hash"

Note = Callable[[AsyncConnection[Any], str], Awaitable[None]]
"""Writes down what is done to the key of this id, in the transaction that does it."""

_Kept = TypeVar("_Kept")


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as it is listed: all but the key."""

    key_id: str
    role: Role
    tenant_id: str | None
    name: str
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made; `key` is nowhere else and never again."""

    key_id: str
    key: str


@dataclass(frozen=True, slots=True)
class _Cached:
    principal: Principal
    read_at: float


class KeyStore:
    """Keys in the database behind a small cache, plus the bootstrap admin key of the settings.

    `pool` is opened and closed by whoever made it. Keys are held as hashes only, also in the cache. `clock` is
    monotonic seconds.
    """

    def __init__(
        self, pool: AsyncConnectionPool, admin_key: str | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pool = pool
        self._admin_hash = hash_key(admin_key) if admin_key else None
        self._clock = clock
        self._known: OrderedDict[bytes, _Cached] = OrderedDict()
        self._unknown_read_at: OrderedDict[bytes, float] = OrderedDict()
        self._reading: dict[bytes, asyncio.Task[Principal | None]] = {}
        self._database_away_until = 0.0

    async def authenticate(self, key: str) -> Principal | None:
        """Whose key this is, None when nobody's; raises Retry when only the database could tell and it is away."""
        key_hash = hash_key(key)
        if self._admin_hash is not None and hmac.compare_digest(key_hash, self._admin_hash):
            return Principal(BOOTSTRAP_KEY_ID, "bootstrap admin", "admin", None)
        now = self._clock()
        cached = self._known.get(key_hash)
        if cached is not None and now - cached.read_at < FRESH_SECONDS:
            return cached.principal
        if now - self._unknown_read_at.get(key_hash, float("-inf")) < UNKNOWN_FRESH_SECONDS:
            return None
        if now >= self._database_away_until:
            try:
                return await self._read_once(key_hash)
            except (psycopg.Error, PoolTimeout) as error:
                self._database_away_until = self._clock() + DATABASE_TRY_AGAIN_SECONDS
                log.warning("keys_unreadable", error=type(error).__name__)
        if cached is not None and now - cached.read_at < STALE_SECONDS:
            return cached.principal
        raise Retry("the key can't be checked now: the database does not answer")

    def is_known(self, key: str) -> bool:
        """Whether this key was found to be somebody's lately; asks nobody."""
        key_hash = hash_key(key)
        mine = self._admin_hash is not None and hmac.compare_digest(key_hash, self._admin_hash)
        return mine or key_hash in self._known

    async def create(self, role: Role, tenant_id: str | None, name: str, note: Note | None = None) -> NewKey:
        """Makes a key, and its tenant where that is new; raises ValueError where role and tenant do not go together."""
        refuse_mismatch(role, tenant_id)
        key = make_key()
        async with self._pool.connection() as connection:
            if tenant_id:
                await connection.execute(MAKE_TENANT, {"tenant_id": tenant_id})
            values = {"key_hash": hash_key(key), "role": role, "tenant_id": tenant_id or None, "name": name}
            row = await (await connection.execute(MAKE_KEY, values)).fetchone()
            assert row is not None
            if note is not None:
                await note(connection, row[0])
        return NewKey(key_id=row[0], key=key)

    async def list_keys(self, tenant_id: str | None = None, limit: int = 1_000) -> list[KeyRecord]:
        """Newest first, revoked ones too; of one tenant when given."""
        async with self._pool.connection() as connection, connection.cursor(row_factory=class_row(KeyRecord)) as cursor:
            await cursor.execute(LIST_KEYS, {"tenant_id": tenant_id, "limit": limit})
            return await cursor.fetchall()

    async def revoke(self, key_id: str, note: Note | None = None) -> bool:
        """Whether there was such a key, not revoked before. Here it stops at once, elsewhere within FRESH_SECONDS."""
        known = as_key_id(key_id)
        if known is None:
            return False
        async with self._pool.connection() as connection:
            row = await (await connection.execute(REVOKE_KEY, {"key_id": known})).fetchone()
            if row is not None and note is not None:
                await note(connection, key_id)
        if row is None:
            return False
        self._known.pop(bytes(row[0]), None)
        return True

    async def _read_once(self, key_hash: bytes) -> Principal | None:
        """One query for all requests that wait for the same key."""
        task = self._reading.get(key_hash)
        if task is None:
            task = asyncio.create_task(self._read(key_hash))
            self._reading[key_hash] = task
            task.add_done_callback(lambda _: self._reading.pop(key_hash, None))
        return await asyncio.shield(task)

    async def _read(self, key_hash: bytes) -> Principal | None:
        async with self._pool.connection() as connection, connection.cursor(row_factory=class_row(Principal)) as cursor:
            await cursor.execute(
                "SELECT key_id::text, name, role, tenant_id FROM api_key WHERE key_hash = %s AND revoked_at IS NULL",
                (key_hash,),
            )
            principal = await cursor.fetchone()
        if principal is None:
            self._known.pop(key_hash, None)
            _keep(self._unknown_read_at, key_hash, self._clock())
        else:
            self._unknown_read_at.pop(key_hash, None)
            _keep(self._known, key_hash, _Cached(principal, self._clock()))
        return principal


def refuse_mismatch(role: str, tenant_id: str | None) -> None:
    """Raises ValueError where role and tenant do not go together."""
    if role not in ROLES:
        raise ValueError(f"role must be one of {', '.join(ROLES)}")
    if role == "ingest" and not tenant_id:
        raise ValueError("an ingest key needs a tenant_id")
    if role == "admin" and tenant_id:
        raise ValueError("an admin key is for all tenants: leave tenant_id out")


def as_key_id(text: str) -> UUID | None:
    """The id that `text` writes, None when it is none."""
    try:
        return UUID(text)
    except ValueError:
        return None


def _keep(cache: OrderedDict[bytes, _Kept], key_hash: bytes, kept: _Kept) -> None:
    cache[key_hash] = kept
    cache.move_to_end(key_hash)
    if len(cache) > CACHE_ENTRIES_MAX:
        cache.popitem(last=False)
