"""What the declarations say is what the database has."""

from __future__ import annotations

import psycopg
import pytest

from deploy.timescale.migrate import migrate
from services.contracts.rollups import FAMILIES, Rollup
from services.processor.copying import EVENT_COLUMNS, SELDOM_COLUMNS
from tests.backends import fresh_database


def columns(dsn: str, relation: str) -> dict[str, str]:
    query = (
        "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute "
        "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
    )
    with psycopg.connect(dsn) as connection:
        return dict(connection.execute(query, (relation,)).fetchall())


@pytest.mark.parametrize("rollup", FAMILIES, ids=lambda rollup: rollup.name)
def test_every_level_of_a_rollup_has_its_dimensions_and_measures(storage: str, rollup: Rollup) -> None:
    for level in rollup.levels:
        found = columns(storage, f'"{rollup.view(level)}"')
        assert set(found) == {"bucket", "tenant_no", *rollup.dimensions, *rollup.measures}, level
        assert {found[name] for name in rollup.measures} == {"bigint"}, level


def test_the_event_table_has_exactly_the_columns_that_are_copied(storage: str) -> None:
    assert set(columns(storage, "usage_event")) == set(EVENT_COLUMNS)


def test_columns_that_may_be_left_out_have_the_default_they_are_left_out_for(storage: str) -> None:
    query = (
        "SELECT column_name, column_default, data_type FROM information_schema.columns "
        "WHERE table_schema = 'public' AND table_name = 'usage_event'"
    )
    with psycopg.connect(storage) as connection:
        found = {name: (default, kind) for name, default, kind in connection.execute(query).fetchall()}
    wanted = {"bigint": "0", "integer": "0", "boolean": "false", "text": "''::text"}
    nullable = dict.fromkeys(("units", "metadata"), (None, "text"))
    assert {name: found[name] for name in SELDOM_COLUMNS} == {
        name: (wanted[found[name][1]], found[name][1]) for name in SELDOM_COLUMNS
    } | nullable


def test_migrating_again_changes_nothing(storage: str) -> None:
    before = columns(storage, "usage_event")
    migrate(storage)
    assert columns(storage, "usage_event") == before


def test_a_store_of_before_tenants_overrides_keeps_its_books_and_takes_overrides(server: str) -> None:
    with fresh_database(server, "0004") as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("INSERT INTO tenant (tenant_id, name) VALUES ('acme', 'Acme')")
        connection.execute("INSERT INTO price_book (version, body) VALUES ('7+abc', 'providers: …')")
        migrate(dsn)
        assert connection.execute("SELECT version, body, overrides FROM price_book").fetchall() == [
            ("7+abc", "providers: …", "")
        ]
        override = (
            "INSERT INTO price_override (tenant_id, provider, model, effective_from, effective_until, terms, reason, "
            "created_by) VALUES ('acme', 'openai', '*', '2026-02-01', %s, '{}', 'contract', 'an admin')"
        )
        connection.execute(override, ["2027-01-01"])
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute(override, ["2026-01-01"])
        assert connection.execute("SELECT count(*) FROM price_override").fetchone() == (1,)


def test_who_may_connect_is_said_anew_as_a_restored_dump_does_not_hold_it(storage: str) -> None:
    def may_connect(role: str) -> bool:
        with psycopg.connect(storage) as connection:
            query = "SELECT has_database_privilege(%s, current_database(), 'CONNECT')"
            row = connection.execute(query, (role,)).fetchone()
        return row == (True,)

    with psycopg.connect(storage) as connection:
        name = connection.info.dbname
        connection.execute(f'GRANT CONNECT ON DATABASE "{name}" TO PUBLIC'.encode())
        connection.execute(f'REVOKE CONNECT ON DATABASE "{name}" FROM spendstream_api'.encode())
    assert may_connect("public")
    migrate(storage)
    assert (may_connect("public"), may_connect("spendstream_api")) == (False, True)


def test_a_store_whose_rows_were_added_to_in_place_takes_what_flushes_append(server: str) -> None:
    key = "bucket, tenant_no, kafka_partition, channel"
    row = f"INSERT INTO channel_hour_base ({key}, calls) VALUES ('2026-10-01 00:00+00', 1, 0, 'slack', 2)"
    with fresh_database(server, "0008") as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        # As the schema was before: a key, no line of what is to be merged, and a budget was one tenant's.
        connection.execute(f"ALTER TABLE channel_hour_base ADD PRIMARY KEY ({key})".encode())
        connection.execute("DROP TABLE unmerged_bucket")
        connection.execute("ALTER TABLE budget ALTER COLUMN tenant_id SET NOT NULL")
        connection.execute(row.encode())
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(row.encode())
        migrate(dsn)
        connection.execute(row.encode())
        assert connection.execute("SELECT calls FROM channel_hour").fetchall() == [(4,)]
        assert connection.execute("SELECT count(*) FROM unmerged_bucket").fetchone() == (0,)
        connection.execute("INSERT INTO budget (budget_window, limit_pico_usd) VALUES ('daily', 1)")
