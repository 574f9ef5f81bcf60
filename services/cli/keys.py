"""`spendstream keys`: makes API keys, lists them, revokes them."""

from __future__ import annotations

import click
import psycopg
from psycopg.rows import class_row

from services.cli.operating import Place, Refused, complaining, show_json, write_admin_log
from services.contracts.keys import ROLES, hash_key, make_key
from services.contracts.limits import TEXT_MAX
from services.runtime.keys import (
    LIST_KEYS,
    MAKE_KEY,
    MAKE_TENANT,
    REVOKE_KEY,
    KeyRecord,
    as_key_id,
    refuse_mismatch,
)

_LIMIT_MAX = 100_000


@click.group()
def keys() -> None:
    """API keys: `admin` may do everything, `viewer` reads (one tenant, or all), `ingest` sends for one tenant."""


@keys.command("create")
@click.option("--role", required=True, type=click.Choice(ROLES), help="What the key may do.")
@click.option("--tenant", help="Whose; needed for ingest, not for admin, and without it a viewer sees all.")
@click.option("--name", default="", help="To know it by; by default its role.")
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
def create_key(role: str, tenant: str | None, name: str, as_json: bool) -> None:
    """Make a key. It is printed this once: only its hash is kept."""
    try:
        refuse_mismatch(role, tenant)
    except ValueError as error:
        raise click.UsageError(str(error).replace("tenant_id", "--tenant")) from None
    for option, text in (("--tenant", tenant), ("--name", name)):
        if text is not None and (len(text) > TEXT_MAX or (text and not text.isprintable())):
            raise click.UsageError(f"{option} is at most {TEXT_MAX} printable characters")

    def work(place: Place) -> None:
        key, named = make_key(), name or role
        with psycopg.connect(place.database_dsn) as connection:
            if tenant:
                connection.execute(MAKE_TENANT, {"tenant_id": tenant})
            values = {"key_hash": hash_key(key), "role": role, "tenant_id": tenant or None, "name": named}
            row = connection.execute(MAKE_KEY, values).fetchone()
            assert row is not None
            said = {"role": role, "tenant_id": tenant or None, "name": named}
            write_admin_log(connection, "key.create", row[0], said)
        if as_json:
            show_json({"id": row[0], "key": key, **said})
            return
        # The key alone on stdout, so that KEY=$(spendstream keys create …) works.
        click.echo(key)
        click.echo(f"{role} key {row[0]} of {tenant or 'all tenants'}: it is shown this once", err=True)

    complaining("keys create", work, broker=False)


@keys.command("list")
@click.option("--tenant", help="Only those of this tenant.")
@click.option("--revoked", is_flag=True, help="Revoked ones too.")
@click.option("--limit", default=1_000, show_default=True, type=click.IntRange(1, _LIMIT_MAX), help="Newest keys.")
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
def list_keys(tenant: str | None, revoked: bool, limit: int, as_json: bool) -> None:
    """List keys, newest first, without the keys themselves."""

    def work(place: Place) -> None:
        with (
            psycopg.connect(place.database_dsn) as connection,
            connection.cursor(row_factory=class_row(KeyRecord)) as cursor,
        ):
            records = cursor.execute(LIST_KEYS, {"tenant_id": tenant, "limit": limit}).fetchall()
        shown = [each for each in records if revoked or each.revoked_at is None]
        if as_json:
            show_json({"keys": [_as_json(each) for each in shown]})
            return
        click.echo(f"{len(shown)} keys")
        for each in shown:
            gone = f"  revoked {each.revoked_at:%Y-%m-%d %H:%M:%S}" if each.revoked_at else ""
            whose = each.tenant_id or "(all tenants)"
            click.echo(
                f"{each.key_id}  {each.created_at:%Y-%m-%d %H:%M:%S}  {each.role:<6}  {whose}  {each.name}{gone}"
            )

    complaining("keys list", work, broker=False)


def _as_json(record: KeyRecord) -> dict[str, object]:
    named = {"id": record.key_id, "role": record.role, "tenant_id": record.tenant_id, "name": record.name}
    return named | {"created_at": record.created_at, "revoked_at": record.revoked_at}


@keys.command("revoke")
@click.argument("ids", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
def revoke_keys(ids: tuple[str, ...], as_json: bool) -> None:
    """Revoke the keys with these IDS, all or none; running services follow within 10 seconds."""

    def work(place: Place) -> None:
        with psycopg.connect(place.database_dsn) as connection:
            for key_id in dict.fromkeys(ids):
                known = as_key_id(key_id)
                if known is None or connection.execute(REVOKE_KEY, {"key_id": known}).fetchone() is None:
                    raise Refused(f"there is no key {key_id}, or it is revoked; nothing was changed")
                write_admin_log(connection, "key.revoke", key_id, {})
        if as_json:
            show_json({"revoked": list(dict.fromkeys(ids))})
        else:
            click.echo("revoked; it stops working within 10 seconds")

    complaining("keys revoke", work, broker=False)
