"""What retention needs: floors, a way to find old rows, and compression on TimescaleDB."""

from __future__ import annotations

from pathlib import Path

from alembic import op
from sqlalchemy import text

from deploy.timescale.compression import compression_statements
from services.contracts.retention import Retention

revision = "0002"
down_revision = "0001"

# Rows lie about in the order of their time, so that a few kilobytes say where old ones are.
_PLAIN_INDEXES = (("event_identity", "occurred_at"), ("run_base", "started_at"), ("cost_adjustment", "occurred_at"))


def upgrade() -> None:
    op.execute(text(Path(__file__).parent.with_name("retention.sql").read_text().replace(":", "\\:")))
    timescale = op.get_bind().execute(text("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'")).scalar()
    for table, column in _PLAIN_INDEXES if timescale else (*_PLAIN_INDEXES, ("usage_event", "occurred_at")):
        op.execute(f"CREATE INDEX {table}_age ON {table} USING brin ({column}) WITH (pages_per_range = 32)")
    if timescale:
        for statement in compression_statements(Retention()):
            op.execute(statement)
