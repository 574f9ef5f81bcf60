"""What the declarations say is what the database has."""

from __future__ import annotations

import psycopg
import pytest

from services.contracts.rollups import ROLLUPS, Rollup
from services.processor.copying import EVENT_COLUMNS


def columns(dsn: str, relation: str) -> dict[str, str]:
    query = (
        "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute "
        "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
    )
    with psycopg.connect(dsn) as connection:
        return dict(connection.execute(query, (relation,)).fetchall())


@pytest.mark.parametrize("rollup", ROLLUPS, ids=lambda rollup: rollup.name)
def test_every_level_of_a_rollup_has_its_dimensions_and_measures(storage: str, rollup: Rollup) -> None:
    for level in rollup.levels:
        found = columns(storage, f'"{rollup.view(level)}"')
        assert set(found) == {"bucket", "tenant_no", *rollup.dimensions, *rollup.measures}, level
        assert {found[name] for name in rollup.measures} == {"bigint"}, level


def test_the_event_table_has_exactly_the_columns_that_are_copied(storage: str) -> None:
    assert set(columns(storage, "usage_event")) == set(EVENT_COLUMNS)


def test_migrating_again_changes_nothing(storage: str) -> None:
    from deploy.timescale.migrate import migrate

    before = columns(storage, "usage_event")
    migrate(storage)
    assert columns(storage, "usage_event") == before
