"""Rollup rows that flushes append and the merger puts together, for stores made when they were added to in place.

New stores have all of it from 0001. What is there stays: a merged bucket is one row a key, which the old key kept too.
"""

from __future__ import annotations

from alembic import op

from services.contracts.rollups import ROLLUPS

revision = "0009"
down_revision = "0008"

_MARKS = """
CREATE TABLE IF NOT EXISTS unmerged_bucket (
    mark_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rollup text NOT NULL,
    bucket timestamptz NOT NULL,
    row_count integer NOT NULL
)
"""
_SMALLER = (
    "CREATE INDEX IF NOT EXISTS notification_alert_id_idx ON notification (alert_id)",
    "CREATE INDEX IF NOT EXISTS notification_sent_at_idx ON notification (sent_at)",
    # A budget may be of all tenants together.
    "ALTER TABLE budget ALTER COLUMN tenant_id DROP NOT NULL",
)


def upgrade() -> None:
    op.execute(_MARKS)
    for table in (rollup.base_table for rollup in ROLLUPS):
        # A flush appends what another has written a row for already.
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {table}_pkey")
        op.execute(f"CREATE INDEX IF NOT EXISTS {table}_bucket_tenant_no_idx ON {table} (bucket, tenant_no)")
    for statement in _SMALLER:
        op.execute(statement)
