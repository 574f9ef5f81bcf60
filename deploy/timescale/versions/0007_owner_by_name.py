"""The owner of partitions is found by the name of its connections; one of them is no longer written down."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute("ALTER TABLE ledger DROP COLUMN IF EXISTS owner_pid")
