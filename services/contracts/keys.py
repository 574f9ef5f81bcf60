"""API keys: their form, their hash, what their roles may do. Pure; where they are kept is `services.runtime.keys`."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Literal

Role = Literal["admin", "viewer", "ingest"]
ROLES: tuple[Role, ...] = ("admin", "viewer", "ingest")
KEY_PREFIX = "sps_"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a request comes from. `tenant_id` None means all tenants (admins, viewers of all)."""

    key_id: str
    name: str
    role: Role
    tenant_id: str | None

    def may_read(self, tenant_id: str) -> bool:
        return self.role in ("admin", "viewer") and self.tenant_id in (None, tenant_id)

    def may_ingest(self, tenant_id: str) -> bool:
        return self.role == "admin" or (self.role == "ingest" and self.tenant_id == tenant_id)


def make_key() -> str:
    """A new key: 256 random bits."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def hash_key(key: str) -> bytes:
    """SHA-256: a key has 256 random bits, so a slow hash would buy nothing."""
    return hashlib.sha256(key.encode()).digest()
