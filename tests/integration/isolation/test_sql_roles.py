"""In SQL a tenant's role sees that tenant, whatever it says and sets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.conninfo import make_conninfo

from deploy.timescale import tenant_roles
from services.contracts.isolation import API_ROLE, SCHEMA
from tests.integration.isolation.conftest import TENANTS, Seeded

# Tables that no reader has a view of, and why not.
NOT_FOR_READERS = {
    "admin_log", "alembic_version", "api_key", "quarantined_event", "tenant_role",  # operators only
    "audit_checkpoint", "audit_left_off", "ledger_gap", "ledger_halt", "price_book", "price_book_refusal",
    "unmerged_bucket",  # the pipeline's own
    "price_override",  # admins only
}  # fmt: skip


def views(dsn: str) -> dict[str, set[str]]:
    """Views for readers and their columns."""
    with psycopg.connect(dsn) as conn:
        rows = conn.execute(
            "SELECT table_name::text, array_agg(column_name::text) FROM information_schema.columns "
            "WHERE table_schema = %s GROUP BY 1", (SCHEMA,),
        ).fetchall()  # fmt: skip
    return {name: set(columns) for name, columns in rows}


@contextmanager
def login(seeded: Seeded, tenant: str) -> Iterator[psycopg.Connection[Any]]:
    """As a tenant's Grafana connects; the role is gone afterwards."""
    with psycopg.connect(seeded.dsn) as owner:
        made = tenant_roles.create(owner, tenant)
    try:
        with psycopg.connect(
            make_conninfo(seeded.dsn, user=made.role, password=made.password), autocommit=True
        ) as conn:
            yield conn
    finally:
        with psycopg.connect(seeded.dsn) as owner:
            tenant_roles.drop(owner, made.role)


def owners_of(conn: psycopg.Connection[Any], seeded: Seeded, name: str, columns: set[str]) -> set[str]:
    """Whose rows a view shows."""
    shown = sql.Identifier(name)
    if "tenant_no" in columns:
        of = {number: tenant for tenant, number in seeded.numbers.items()}
        found = conn.execute(sql.SQL("SELECT DISTINCT tenant_no FROM {}").format(shown)).fetchall()
        return {of[number] for (number,) in found}
    return {row[0] for row in conn.execute(sql.SQL("SELECT DISTINCT tenant_id FROM {}").format(shown)).fetchall()}


def test_a_login_sees_all_of_its_tenant_and_nothing_of_others_in_any_view(seeded: Seeded) -> None:
    of_a_tenant = {name: columns for name, columns in views(seeded.dsn).items() if columns & {"tenant_no", "tenant_id"}}
    assert len(of_a_tenant) > 20
    with login(seeded, "beta") as conn, psycopg.connect(seeded.dsn) as owner:
        for name, columns in of_a_tenant.items():
            if not _may(conn, name):
                continue
            assert owners_of(conn, seeded, name, columns) == {"beta"}, name
            mine = "tenant_no = %(no)s" if "tenant_no" in columns else "tenant_id = %(id)s"
            values = {"no": seeded.numbers["beta"], "id": "beta"}
            base = owner.execute(f"SELECT count(*) FROM public.{name} WHERE {mine}".encode(), values).fetchone()
            assert conn.execute(f"SELECT count(*) FROM {name}".encode()).fetchone() == base, name


def _may(conn: psycopg.Connection[Any], name: str) -> bool:
    row = conn.execute("SELECT has_table_privilege(%s, 'SELECT')", (f"{SCHEMA}.{name}",)).fetchone()
    return bool(row and row[0])


def test_where_alerts_go_is_not_shown_to_a_data_source(seeded: Seeded) -> None:
    with login(seeded, "beta") as conn:
        for name in ("alert_rule", "notification", "ledger", "event_identity"):
            with pytest.raises(errors.InsufficientPrivilege):
                conn.execute(f"SELECT * FROM {SCHEMA}.{name}".encode())


@pytest.mark.parametrize(
    "attempt",
    [
        "SET spendstream.tenant_id = 'alpha'",
        "SELECT set_config('spendstream.tenant_id', 'alpha', false)",
        "SET search_path = public",
        "RESET ALL",
        "SET default_transaction_read_only = off",
        "SET row_security = off",
        f"SET ROLE {API_ROLE}",
        "SET ROLE postgres",
        "SET ROLE spendstream",
        "SET SESSION AUTHORIZATION postgres",
        "SET SESSION AUTHORIZATION DEFAULT",
        "RESET SESSION AUTHORIZATION",
        "CREATE TEMP TABLE tenant_role AS SELECT session_user AS role_name, 1 AS tenant_no",
        "CREATE SCHEMA pg_mine",
        "CREATE FUNCTION public.pg_has_role(name, text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
        "UPDATE public.tenant_role SET tenant_no = 1",
        "INSERT INTO isolated.tenant VALUES (DEFAULT, 'x', 'x', 'UTC')",
        "UPDATE isolated.agent_label SET label = 'x'",
        "DELETE FROM isolated.budget",
        "SELECT isolated.create_tenant_role('alpha', 'mine', 'SCRAM-SHA-256$x')",
        "SELECT isolated.drop_tenant_role(session_user::name)",
        "CREATE OR REPLACE VIEW isolated.tenant AS SELECT * FROM public.tenant",
        "GRANT SELECT ON public.tenant TO PUBLIC",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT lo_import('/etc/passwd')",
    ],
)
def test_no_setting_and_no_statement_leads_out(seeded: Seeded, attempt: str) -> None:
    with login(seeded, "beta") as conn:
        with suppress(psycopg.Error):
            conn.execute(attempt.encode())
        for name in ("usage_event", "usage_hour", "tenant"):
            rows = conn.execute(f"SELECT DISTINCT tenant_no FROM {SCHEMA}.{name}".encode()).fetchall()
            assert rows == [(seeded.numbers["beta"],)]
        with pytest.raises(errors.InsufficientPrivilege):
            conn.execute("SELECT * FROM public.usage_event LIMIT 1")
    with psycopg.connect(seeded.dsn) as owner:
        assert owner.execute("SELECT count(*) FROM tenant").fetchone() == (len(TENANTS),)


def test_no_relation_with_rows_of_tenants_can_be_read_past_the_views(seeded: Seeded) -> None:
    """Tables, rollups, chunks, materialised parts: everything but the views and the catalogs."""
    with psycopg.connect(seeded.dsn) as owner:
        relations = owner.execute(
            "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class AS c "
            "JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') "
            "AND n.nspname NOT IN ('isolated', '_timescaledb_catalog') AND EXISTS "
            "(SELECT FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname IN ('tenant_no', 'tenant_id'))"
        ).fetchall()
    assert len(relations) > 30
    with login(seeded, "beta") as conn:
        for (relation,) in relations:
            with pytest.raises(errors.InsufficientPrivilege):
                conn.execute(f"SELECT * FROM {relation} LIMIT 1".encode())


def test_conditions_of_a_reader_are_not_tried_on_rows_of_others(seeded: Seeded) -> None:
    """A condition that fails on a certain value would tell that the value is there."""
    with psycopg.connect(seeded.dsn) as owner:
        row = owner.execute(
            "SELECT cost_pico_usd FROM usage_event WHERE tenant_no = %s AND cost_pico_usd > 1000 "
            "AND cost_pico_usd NOT IN (SELECT cost_pico_usd FROM usage_event WHERE tenant_no = %s "
            "AND cost_pico_usd IS NOT NULL) LIMIT 1", (seeded.numbers["alpha"], seeded.numbers["beta"]),
        ).fetchone()  # fmt: skip
    assert row is not None
    with login(seeded, "beta") as conn:
        conn.execute("SELECT * FROM usage_event WHERE 1 / (cost_pico_usd - %s) < 5", row)
        conn.execute("SELECT * FROM usage_hour WHERE (feature || '')::text <> 'x' AND 1 / length(feature) < 5")
        for name in ("usage_event", "usage_hour", "run"):
            found = conn.execute(
                "SELECT reloptions FROM pg_class WHERE oid = to_regclass(%s)", (f"{SCHEMA}.{name}",)
            ).fetchone()
            assert found == (["security_barrier=true"],)


def test_a_dropped_login_is_nobodys(seeded: Seeded) -> None:
    with login(seeded, "beta") as conn:
        role = conn.info.user
    with psycopg.connect(seeded.dsn) as owner:
        assert tenant_roles.roles(owner) == []
        assert owner.execute("SELECT count(*) FROM pg_roles WHERE rolname = %s", (role,)).fetchone() == (0,)


def test_a_login_needs_a_tenant_that_exists(seeded: Seeded) -> None:
    with psycopg.connect(seeded.dsn) as owner, pytest.raises(errors.NoDataFound):
        tenant_roles.create(owner, "nobody")


def test_every_table_has_a_view_or_is_known_not_to_be_for_readers(seeded: Seeded) -> None:
    with psycopg.connect(seeded.dsn) as owner:
        tables = owner.execute(
            "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'v') AND relnamespace = 'public'::regnamespace"
        ).fetchall()
    # What partitions wrote apart is shown as the view that sums it; plain PostgreSQL's levels have tables behind.
    inner = ("_base", "_mat")
    unknown = {name for (name,) in tables if not name.endswith(inner)} - set(views(seeded.dsn)) - NOT_FOR_READERS
    assert unknown == set()
