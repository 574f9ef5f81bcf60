"""The core schema: identity, ledger, events, rollups, runs, spikes, alerts, budgets.

Built from the declarations in `services.contracts.rollups`. Until the first release this revision follows them; from
then on a change of shape is a revision of its own.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op
from sqlalchemy import text

from deploy.timescale.rollup_ddl import hypertable, rollup_statements
from services.contracts.rollups import FAMILIES

revision = "0001"
down_revision = None

# Created after the table is a hypertable, so that chunks carry them too.
EVENT_INDEXES = (
    "CREATE INDEX usage_event_tenant ON usage_event (tenant_no, occurred_at)",
    "CREATE INDEX usage_event_request ON usage_event (tenant_no, request_id) WHERE request_id <> ''",
    "CREATE INDEX usage_event_run ON usage_event (tenant_no, run_id) WHERE run_id <> ''",
)


def timescale_available() -> bool:
    found = op.get_bind().execute(text("SELECT count(*) FROM pg_available_extensions WHERE name = 'timescaledb'"))
    return bool(found.scalar_one())


def upgrade() -> None:
    timescale = timescale_available()
    if timescale:
        op.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    op.execute(text(Path(__file__).parent.with_name("schema.sql").read_text().replace(":", "\\:")))
    if timescale:
        op.execute(hypertable("usage_event", "occurred_at", "1 day"))
    for statement in EVENT_INDEXES:
        op.execute(statement)
    for rollup in FAMILIES:
        for statement in rollup_statements(rollup, timescale=timescale):
            op.execute(statement)
