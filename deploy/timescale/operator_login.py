"""A database login that reads all tenants, for the operator's own Grafana; `tenant_roles` makes those of one tenant.

It reads what a tenant's login reads, by the same names, from the tables instead of from the views of one tenant, and
how far the stream is. It changes nothing. Grants are renewed at each call: a migration may have made a view anew.
"""

from __future__ import annotations

import psycopg
from psycopg import sql

from deploy.timescale.isolation import operator_relations


def ensure_login(connection: psycopg.Connection, role: str, password: str) -> None:
    """Makes the login where it is missing, gives it this password and its rights.

    Raises ValueError for a role that exists and is not this kind of login.
    """
    name = sql.Identifier(role)
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    # Hashed here: the server, its logs and its statistics never see the password.
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    if not _exists(connection, role):
        connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN NOCREATEDB NOCREATEROLE CONNECTION LIMIT 20").format(name))
        connection.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(name, sql.Literal(_MARK)))
    elif not _is_ours(connection, role):
        raise ValueError(f"{role} exists and is no login of Grafana's: its password is left alone")
    connection.execute(sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(name, sql.Literal(verifier)))
    connection.execute(sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on").format(name))
    connection.execute(sql.SQL("ALTER ROLE {} SET statement_timeout = '30s'").format(name))
    database = sql.Identifier(connection.info.dbname)
    connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, name))
    connection.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(name))
    for relation, columns in operator_relations():
        chosen = sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Identifier, columns))) if columns else sql.SQL("")
        connection.execute(sql.SQL("GRANT SELECT {} ON public.{} TO {}").format(chosen, sql.Identifier(relation), name))


_LOCK = 720_302
_MARK = "Spendstream: reads all tenants for the operator's Grafana"


def _exists(connection: psycopg.Connection, role: str) -> bool:
    return connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,)).fetchone() is not None


def _is_ours(connection: psycopg.Connection, role: str) -> bool:
    query = "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %s"
    row = connection.execute(query, (role,)).fetchone()
    return row is not None and row[0] == _MARK
