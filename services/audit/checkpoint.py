"""What was found right before, by bucket: table `audit_checkpoint`; and where the last audit left off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, Literal

import psycopg

Scope = Literal["hour", "day", "run"]

# Part of every fingerprint: another number forgets all that was checked by rules that were different.
RULES_VERSION: Final = 1
_SAVE = (
    "INSERT INTO audit_checkpoint AS c (scope, bucket, fingerprint, checked_at) "
    "SELECT %s, b, f, now() FROM unnest(%s::timestamptz[], %s::text[]) AS n(b, f) ORDER BY b "
    "ON CONFLICT (scope, bucket) DO UPDATE SET fingerprint = EXCLUDED.fingerprint, checked_at = EXCLUDED.checked_at"
)


def read_checkpoints(connection: psycopg.Connection, scope: Scope) -> dict[datetime, str]:
    """The fingerprints of the buckets that were right when they were last checked."""
    rows = connection.execute("SELECT bucket, fingerprint FROM audit_checkpoint WHERE scope = %s", (scope,)).fetchall()
    return dict(rows)


def save_checkpoints(connection: psycopg.Connection, scope: Scope, right: Mapping[datetime, str]) -> None:
    """Remembers these; a bucket that is there is overwritten."""
    if right:
        buckets = sorted(right)
        connection.execute(_SAVE, (scope, buckets, [right[bucket] for bucket in buckets]))


def forget_checkpoints(connection: psycopg.Connection, scope: Scope, buckets: Iterable[datetime]) -> None:
    """Buckets that turned out wrong are checked again until they are right."""
    connection.execute("DELETE FROM audit_checkpoint WHERE scope = %s AND bucket = ANY(%s)", (scope, list(buckets)))


def read_left_off(connection: psycopg.Connection) -> datetime | None:
    """Up to which day the next audit goes on downwards; None after one that came round."""
    row = connection.execute("SELECT left_off FROM audit_left_off").fetchone()
    return row[0] if row else None


def save_left_off(connection: psycopg.Connection, left_off: datetime | None) -> None:
    """Remembers it in place of what was there."""
    connection.execute("DELETE FROM audit_left_off")
    if left_off is not None:
        connection.execute("INSERT INTO audit_left_off (left_off) VALUES (%s)", (left_off,))


def read_floors(connection: psycopg.Connection) -> dict[str, datetime]:
    """From when on each relation is complete; one that isn't named always is."""
    return dict(connection.execute("SELECT relation, complete_from FROM retention_floor").fetchall())
