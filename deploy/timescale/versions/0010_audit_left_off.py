"""Where an audit left off for want of time, for stores made before it did. New stores have it from 0001."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.execute(
        "CREATE TABLE IF NOT EXISTS audit_left_off ("
        "only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row), left_off timestamptz NOT NULL)"
    )
