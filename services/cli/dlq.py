"""`spendstream dlq`: lists dead letters, shows one, sends chosen ones again, resumes a halted stream."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import click
import psycopg

from services.cli.dead_letter_log import Letter, read_letters, send_again
from services.cli.operating import Place, Refused, complaining, show_json, write_admin_log

_HEX_BYTES_SHOWN = 4_096


def _chosen(place: Place, reason: str | None, tenant: str | None) -> Iterable[Letter]:
    for letter in read_letters(place):
        if reason in (None, letter.reason) and tenant in (None, letter.tenant_id):
            yield letter


@click.group()
def dlq() -> None:
    """Events that could not be counted: what they are, and sending them again."""


@dlq.command("list")
@click.option("--reason", help="Only those with this reason: undecodable, invalid, conflict, …")
@click.option("--tenant", help="Only those of this tenant.")
@click.option(
    "--limit", default=100, show_default=True, type=click.IntRange(0, 100_000), help="Newest letters to list."
)
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
def list_letters(reason: str | None, tenant: str | None, limit: int, as_json: bool) -> None:
    """Count dead letters by reason and tenant, and list the newest."""

    def work(place: Place) -> None:
        counts: Counter[tuple[str, str]] = Counter()
        newest: list[Letter] = []
        for letter in _chosen(place, reason, tenant):
            counts[letter.reason, letter.tenant_id] += 1
            newest = [*newest, letter][-limit:] if limit else []
        rows = [{"reason": r, "tenant_id": t, "letters": n} for (r, t), n in sorted(counts.items())]
        if as_json:
            show_json(
                {"total": sum(counts.values()), "counts": rows, "letters": [one.summary() for one in newest[::-1]]}
            )
            return
        click.echo(f"{sum(counts.values())} dead letters")
        for row in rows:
            click.echo(f"  {row['letters']:>8}  {row['reason']}  {row['tenant_id'] or '(no tenant)'}")
        for one in newest[::-1]:
            click.echo(f"{one.place}  {one.failed_at:%Y-%m-%d %H:%M:%S}  {one.reason}  {one.tenant_id}  {one.detail}")

    complaining("dlq list", work)


@dlq.command("show")
@click.argument("place")
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
def show_letter(place: str, as_json: bool) -> None:
    """Show the letter at PLACE (partition:offset:index, as listed): why, its bytes, and the event if they are one."""

    def work(where: Place) -> None:
        letter = _find(where, [place])[0]
        shown = letter.summary() | {"event": letter.decoded(), "payload_hex": letter.payload[:_HEX_BYTES_SHOWN].hex()}
        if as_json:
            show_json(shown)
            return
        for name, value in shown.items():
            click.echo(f"{name}: {value}")

    complaining("dlq show", work)


@dlq.command("replay")
@click.argument("places", nargs=-1)
@click.option("--reason", help="All with this reason.")
@click.option("--tenant", help="All of this tenant.")
@click.option("--all", "everything", is_flag=True, help="All there are.")
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
def replay_letters(
    places: tuple[str, ...], reason: str | None, tenant: str | None, everything: bool, as_json: bool
) -> None:
    """Send letters through the usage topic again, by PLACES or by what they have in common.

    For when the cause is mended. What was counted meanwhile is a duplicate; what is bad still comes back.
    """
    if not (places or reason or tenant or everything):
        raise click.UsageError("say which: places, --reason, --tenant or --all")

    def work(where: Place) -> None:
        letters = _find(where, places) if places else list(_chosen(where, reason, tenant))
        with psycopg.connect(where.database_dsn) as connection:
            # First the note, in a transaction that ends after the sending: what was sent is never without one.
            said = {"letters": len(letters), "reason": reason, "tenant_id": tenant, "places": list(places)}
            write_admin_log(connection, "dlq.replay", where.usage_topic, said)
            sent = send_again(where, letters)
        if as_json:
            show_json({"sent": sent})
        else:
            click.echo(f"{sent} letters sent again")

    complaining("dlq replay", work)


def _find(where: Place, places: Iterable[str]) -> list[Letter]:
    wanted = set(places)
    found = [one for one in read_letters(where) if one.place in wanted]
    missing = sorted(wanted - {one.place for one in found})
    if missing:
        raise Refused(f"no dead letter is at {', '.join(missing)}")
    return found


@dlq.command("resume")
@click.option(
    "--bury", default=0, show_default=True, type=click.IntRange(0), help="Bad events to bury without stopping."
)
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
def resume(bury: int, as_json: bool) -> None:
    """Let a stream go on that was halted because nearly all of it was bad.

    Without --bury it halts again if that is still so.
    """

    def work(where: Place) -> None:
        with psycopg.connect(where.database_dsn) as connection:
            resumed = connection.execute(
                "UPDATE ledger_halt AS h SET resumed_at = now(), bury_through = %s + "
                "(SELECT coalesce(sum(dead_lettered), 0) FROM ledger AS l "
                "WHERE (l.cluster_id, l.topic_id) = (h.cluster_id, h.topic_id)) "
                "WHERE resumed_at IS NULL RETURNING reason",
                (bury,),
            ).fetchall()
            if resumed:
                write_admin_log(connection, "dlq.resume", where.usage_topic, {"halts": len(resumed), "bury": bury})
        if as_json:
            show_json({"resumed": len(resumed), "reasons": [reason for (reason,) in resumed]})
        else:
            click.echo("resumed; the processor goes on within seconds" if resumed else "nothing is halted")

    complaining("dlq resume", work)
