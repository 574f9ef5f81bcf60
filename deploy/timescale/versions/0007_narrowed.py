"""Families that are summed from others by fewer dimensions, for stores made before them.

New stores have them from 0001. They are built here from what is kept, so that they answer from the first moment on.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import TextClause, text

from deploy.timescale.compression import compression_statements
from deploy.timescale.isolation import view_statements
from deploy.timescale.rollup_ddl import fill_plain, interval, rollup_statements
from services.contracts.retention import Retention
from services.contracts.rollups import NARROWED

revision = "0007"
down_revision = "0006"

_BUILT = tuple((rollup, level) for rollup in NARROWED for level in rollup.built_levels)
_NAMES = [rollup.view(level) for rollup, level in _BUILT]
# What they are summed from may be kept from some day on only; of the time before it the family above tells the days.
_FLOOR = """
INSERT INTO retention_floor (relation, complete_from, moved_at)
SELECT '{built}', complete_from, moved_at FROM retention_floor WHERE relation = '{source}'
"""


def upgrade() -> None:
    timescale = bool(_first("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'"))
    if not _first(f"SELECT to_regclass('public.{_NAMES[-1]}')"):
        _make(timescale=timescale)
    if not timescale:
        return
    # Not within a transaction. Until it is done they are live sums, exact as well.
    with op.get_context().autocommit_block():
        for rollup, level in _BUILT:
            family, below = rollup.below(level)
            width = f"INTERVAL '{interval(level)}'"
            start = _first(f"SELECT time_bucket({width}, min(bucket)) FROM {family.view(below)}")
            end = _first(f"SELECT time_bucket({width}, closed_through) FROM rollup_state")
            if start is not None and str(start) < str(end):
                op.execute(_plain(f"CALL refresh_continuous_aggregate('{rollup.view(level)}', '{start}', '{end}')"))


def _make(*, timescale: bool) -> None:
    for rollup in NARROWED:
        for statement in rollup_statements(rollup, timescale=timescale):
            op.execute(_plain(statement))
        for level in rollup.built_levels:
            family, source = rollup.below(rollup.levels[0])
            op.execute(_plain(_FLOOR.format(built=rollup.view(level), source=family.view(source))))
            if not timescale:
                op.execute(_plain(fill_plain(rollup, level)))
    for statement in view_statements(_NAMES):
        op.execute(_plain(statement))
    for statement in compression_statements(Retention(), _NAMES) if timescale else ():
        op.execute(_plain(statement))


def _first(query: str) -> object:
    return op.get_bind().execute(_plain(query)).scalar()


def _plain(statement: str) -> TextClause:
    return text(statement.replace(":", "\\:"))
