"""`spendstream quarantine`: events outside the acceptance window, listed, and admitted on an operator's word."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click
import psycopg
from psycopg.rows import dict_row

from services.cli.dead_letter_log import batches, send
from services.cli.operating import Place, Refused, complaining, show_json, write_admin_log
from services.contracts.topics import ADMITTED_HEADER

_STEP = 1_000
_COLUMNS = "quarantine_id, tenant_id, event_id, occurred_at, received_at, reason, admitted_at"
_WHERE = "(%(tenant)s::text IS NULL OR tenant_id = %(tenant)s)"
# Rollups below their floors are not built again: what is admitted there would make them wrong.
_FLOOR = "SELECT max(complete_from) FROM retention_floor WHERE relation <> 'event_identity'"


@click.group()
def quarantine() -> None:
    """Events that came too late or too early to be counted by themselves."""


@quarantine.command("list")
@click.option("--tenant", help="Only those of this tenant.")
@click.option("--admitted", is_flag=True, help="Those that were admitted, too.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 100_000), help="Newest rows to list.")
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
def list_quarantined(tenant: str | None, admitted: bool, limit: int, as_json: bool) -> None:
    """List quarantined events, newest first."""

    def work(place: Place) -> None:
        waiting = "" if admitted else " AND admitted_at IS NULL"
        with psycopg.connect(place.database_dsn) as connection, connection.cursor(row_factory=dict_row) as cursor:
            count = cursor.execute(
                f"SELECT count(*) FROM quarantined_event WHERE {_WHERE}{waiting}", {"tenant": tenant}
            )
            total = (count.fetchone() or {"count": 0})["count"]
            rows = cursor.execute(
                f"SELECT {_COLUMNS} FROM quarantined_event WHERE {_WHERE}{waiting} "
                "ORDER BY quarantine_id DESC LIMIT %(limit)s",
                {"tenant": tenant, "limit": limit},
            ).fetchall()
        if as_json:
            show_json({"total": total, "events": rows})
            return
        click.echo(f"{total} quarantined events")
        for row in rows:
            click.echo(
                f"{row['quarantine_id']:>8}  {row['tenant_id']}  {row['event_id']}  occurred {row['occurred_at']}  "
                f"received {row['received_at']}" + (f"  admitted {row['admitted_at']}" if row["admitted_at"] else "")
            )

    complaining("quarantine list", work)


@quarantine.command("admit")
@click.argument("ids", nargs=-1, type=int)
@click.option("--tenant", help="All of this tenant.")
@click.option("--all", "everything", is_flag=True, help="All there are.")
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
def admit(ids: tuple[int, ...], tenant: str | None, everything: bool, as_json: bool) -> None:
    """Count quarantined events in the period in which they happened, by IDS, --tenant or --all.

    Safe to repeat: what was admitted before is left alone, and an event counts once however often it is sent.
    """
    if not (ids or tenant or everything):
        raise click.UsageError("say which: ids, --tenant or --all")

    def work(place: Place) -> None:
        with psycopg.connect(place.database_dsn, autocommit=True) as connection:
            if ids:
                _require_known(connection, ids)
            done = 0
            while step := _admit_some(connection, place, list(ids) or None, tenant):
                done += step
        if as_json:
            show_json({"admitted": done})
        else:
            click.echo(f"{done} events admitted; they count within seconds")

    complaining("quarantine admit", work)


def _require_known(connection: psycopg.Connection[Any], ids: tuple[int, ...]) -> None:
    query = "SELECT quarantine_id FROM quarantined_event WHERE quarantine_id = ANY(%s)"
    known = {row[0] for row in connection.execute(query, (list(ids),))}
    missing = sorted(set(ids) - known)
    if missing:
        raise Refused(f"nothing is quarantined as {', '.join(map(str, missing))}")


def _admit_some(connection: psycopg.Connection[Any], place: Place, ids: list[int] | None, tenant: str | None) -> int:
    """Sends and marks the next rows, locked meanwhile; how many. Between sending and marking a crash sends twice."""
    with connection.transaction():
        rows = connection.execute(
            f"SELECT quarantine_id, tenant_id, payload, occurred_at FROM quarantined_event WHERE admitted_at IS NULL "
            f"AND {_WHERE} AND (%(ids)s::bigint[] IS NULL OR quarantine_id = ANY(%(ids)s)) "
            "ORDER BY quarantine_id LIMIT %(step)s FOR UPDATE",
            {"tenant": tenant, "ids": ids, "step": _STEP},
        ).fetchall()
        if not rows:
            return 0
        _refuse_below_floor(connection, min(row[3] for row in rows))
        by_tenant: dict[str, list[bytes]] = {}
        for _, tenant_id, payload, _ in rows:
            by_tenant.setdefault(tenant_id, []).append(payload)
        messages = [
            (tenant_id.encode(), message)
            for tenant_id, payloads in by_tenant.items()
            for message in batches(payloads, "admitted")
        ]
        send(place, messages, headers=[(ADMITTED_HEADER, b"1")])
        numbers = [row[0] for row in rows]
        connection.execute("UPDATE quarantined_event SET admitted_at = now() WHERE quarantine_id = ANY(%s)", (numbers,))
        write_admin_log(
            connection, "quarantine.admit", tenant or "all", {"quarantine_ids": numbers[:100], "events": len(rows)}
        )
    return len(rows)


def _refuse_below_floor(connection: psycopg.Connection[Any], oldest: datetime) -> None:
    row = connection.execute(_FLOOR).fetchone()
    if row and row[0] is not None and oldest < row[0]:
        raise Refused(
            f"an event of {oldest:%Y-%m-%d} can't be counted any more: rows are kept from {row[0]:%Y-%m-%d} on"
        )
