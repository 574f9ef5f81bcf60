"""Database logins that see one tenant, for its Grafana.

`python -m deploy.timescale.tenant_roles create TENANT` prints role and password, the password this once; `list` and
`drop ROLE`. The database is `SPENDSTREAM_DATABASE_DSN`, of the schema's owner.
"""

from __future__ import annotations

import os
import re
import secrets
import sys
from dataclasses import dataclass

import psycopg

_NAME_MAX = 63


@dataclass(frozen=True, slots=True)
class TenantRole:
    """`password` is known here only."""

    role: str
    password: str


def create(connection: psycopg.Connection, tenant_id: str) -> TenantRole:
    """A new login for the tenant; earlier ones stay. Raises psycopg.errors.NoDataFound for an unknown tenant."""
    shortened = re.sub(r"[^a-z0-9]+", "_", tenant_id.lower()).strip("_")
    role = f"grafana_{shortened[: _NAME_MAX - 15]}_{secrets.token_hex(3)}"
    password = secrets.token_urlsafe(24)
    # Hashed here: the server, its logs and its statistics never see the password.
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    connection.execute("SELECT isolated.create_tenant_role(%s, %s, %s)", (tenant_id, role, verifier))
    return TenantRole(role, password)


def drop(connection: psycopg.Connection, role: str) -> None:
    """Takes the login away; sessions it has end with their next look at the database."""
    connection.execute("SELECT isolated.drop_tenant_role(%s)", (role,))


def roles(connection: psycopg.Connection) -> list[tuple[str, str]]:
    """(role, tenant) by role."""
    query = "SELECT role_name::text, tenant_id FROM tenant_role JOIN tenant USING (tenant_no) ORDER BY 1"
    return connection.execute(query).fetchall()


def main(arguments: list[str]) -> int:
    """The exit code; what went wrong is a line on stderr."""
    try:
        return _run(arguments, os.environ.get("SPENDSTREAM_DATABASE_DSN", ""))
    except psycopg.Error as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1


def _run(arguments: list[str], dsn: str) -> int:
    if arguments and not dsn:
        print("SPENDSTREAM_DATABASE_DSN isn't set: the database, as the schema's owner", file=sys.stderr)
        return 2
    match arguments:
        case ["create", tenant_id]:
            with psycopg.connect(dsn) as connection:
                try:
                    made = create(connection, tenant_id)
                except psycopg.errors.NoDataFound:
                    print(f"there is no tenant {tenant_id}", file=sys.stderr)
                    return 1
            print(f"role {made.role}\npassword {made.password}")
        case ["drop", role]:
            with psycopg.connect(dsn) as connection:
                try:
                    drop(connection, role)
                except psycopg.errors.UndefinedObject:
                    print(f"{role} is no role of a tenant", file=sys.stderr)
                    return 1
        case ["list"]:
            with psycopg.connect(dsn) as connection:
                for role, tenant_id in roles(connection):
                    print(f"{role}\t{tenant_id}")
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
