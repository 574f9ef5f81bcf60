"""What reading months needs, for stores made before it. New stores have it from 0001.

Views whose planner knows how little lies above what is built, and an index that tells whose runs lie in pieces.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op
from sqlalchemy import text

from deploy.timescale.rollup_ddl import plain_level
from services.contracts.rollups import ROLLUPS

revision = "0006"
down_revision = "0005"

_FUNCTION_BEGINS, _FUNCTION_ENDS = "CREATE FUNCTION materialized_before", "$$;\n"


def upgrade() -> None:
    op.execute(
        "CREATE INDEX IF NOT EXISTS run_base_tenant_no_kafka_partition_idx ON run_base (tenant_no, kafka_partition)"
    )
    schema = Path(__file__).parent.with_name("schema.sql").read_text()
    begins = schema.index(_FUNCTION_BEGINS)
    function = schema[begins : schema.index(_FUNCTION_ENDS, begins) + len(_FUNCTION_ENDS)]
    op.execute(text(function.replace("CREATE", "CREATE OR REPLACE", 1).replace(":", "\\:")))
    if op.get_bind().execute(text("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'")).scalar():
        return
    for rollup in ROLLUPS:
        for level in rollup.levels[1:]:
            *_, view = plain_level(rollup, level)
            op.execute(text(view.replace("CREATE VIEW", "CREATE OR REPLACE VIEW", 1).replace(":", "\\:")))
