"""`spendstream audit`: checks what must hold, says what differs, builds rollups again from raw events."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import click
import psycopg
from confluent_kafka import KafkaException

from services.audit.engine import Question, run_audit
from services.audit.ledger import BrokerEnds
from services.audit.repair import CannotRepairError, Repaired, repair
from services.audit.report import Difference, Identity, Report, said, to_json
from services.cli.log_ends import read_ends
from services.cli.operating import Place, Refused, find_place, show_json, write_admin_log
from services.cli.times import parse_instant
from services.contracts.topics import DEAD_LETTER, USAGE_EVENTS

EXIT_DIFFERS = 1
EXIT_ERROR = 2
_SHOWN_MAX = 20
# People wait for it; a store of months takes several.
_SECONDS = 40.0


class _Instant(click.ParamType):
    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            return value if isinstance(value, datetime) else parse_instant(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The whole report as JSON on stdout.")
@click.option("--full", is_flag=True, help="Compare again what was found right before and looks the same.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0),
    default=None,
    help=f"End after about so long and name what is left; the next audit goes on there. Default {_SECONDS:.0f}; 0, and "
    "the default with --full or --repair: as long as it takes.",
)
@click.option("--repair", "repairing", is_flag=True, help="Build the rollups from --from to --to again, then check.")
@click.option("--from", "start", type=_Instant(), help="Start of what --repair builds again (rounded to the hour).")
@click.option("--to", "end", type=_Instant(), help="Its end, exclusive.")
def audit(
    *, as_json: bool, full: bool, seconds: float | None, repairing: bool, start: datetime | None, end: datetime | None
) -> None:
    """Check that every event read is accounted for once, and every level says what the raw events say.

    Only what changed since the last audit is compared with the raw events, the newest first. Exit code 0: everything
    that was looked at holds; 1: something differs; 2: the audit couldn't be done. Finds the Spendstream that runs
    here, or the one that SPENDSTREAM_DATABASE_DSN (and SPENDSTREAM_KAFKA_BOOTSTRAP) name.
    """
    if repairing and (start is None or end is None or start >= end):
        raise click.UsageError("--repair needs --from and --to, in this order")
    if not repairing and (start or end):
        raise click.UsageError("--from and --to go with --repair")

    def say(text: str) -> None:
        click.echo(text, err=as_json)

    if seconds is None:
        seconds = 0 if full or repairing else _SECONDS
    question = Question(full=full, seconds_max=seconds or None)
    report = _complaining(lambda: _work(say, (start, end) if start and end else None, question))
    if as_json:
        show_json(to_json(report))
    else:
        show(report, say)
    if not report.holds:
        sys.exit(EXIT_DIFFERS)


def _work(say: Callable[[str], None], range_: tuple[datetime, datetime] | None, question: Question) -> Report:
    place = _find_place()
    with psycopg.connect(
        place.database_dsn, autocommit=True, options="-c timezone=UTC", application_name="audit"
    ) as connection:
        if range_ is not None:
            for piece in repair(connection, *range_, _note):
                say(
                    f"built again: {_span(piece.start, piece.end)}, {piece.rows_after:,} rows for {piece.rows_before:,}"
                )
        return run_audit(connection, replace(question, ends=_ends(place, say)))


def _find_place() -> Place:
    """Like other commands; the broker may be left out."""
    dsn = os.environ.get("SPENDSTREAM_DATABASE_DSN", "")
    if dsn and not os.environ.get("SPENDSTREAM_KAFKA_BOOTSTRAP"):
        return Place(dsn, "", USAGE_EVENTS.name, DEAD_LETTER.name)
    return find_place()


def _ends(place: Place, say: Callable[[str], None]) -> BrokerEnds | None:
    if not place.kafka_bootstrap:
        return None
    try:
        return read_ends(place.kafka_bootstrap, place.usage_topic)
    except KafkaException as error:
        say(f"the broker doesn't answer ({error.args[0].str()}): the ledger isn't compared with the log")
        return None


def _note(connection: psycopg.Connection, piece: Repaired) -> None:
    detail = {"rows_before": piece.rows_before, "rows_after": piece.rows_after}
    write_admin_log(connection, "audit.repair", _span(piece.start, piece.end), detail)


def _complaining(work: Callable[[], Report]) -> Report:
    try:
        return work()
    except (Refused, CannotRepairError) as error:
        message = str(error)
    except psycopg.Error as error:
        message = f"the database: {str(error).strip() or type(error).__name__}"
    click.echo(f"spendstream audit: {' '.join(message.split())}", err=True)
    sys.exit(EXIT_ERROR)


def show(report: Report, say: Callable[[str], None]) -> None:
    """The report for people: a line an identity, below it what differs."""
    for identity in report.identities:
        say(f"{_verdict(identity):8}{identity.name}{_totals(identity)}")
        for one in identity.differences[:_SHOWN_MAX]:
            say(f"        {_said(one)}")
        if len(identity.differences) > _SHOWN_MAX:
            say(f"        and {len(identity.differences) - _SHOWN_MAX} more; --json has them")
        if identity.note:
            say(f"        ({identity.note})")
    broken = sum(not identity.holds for identity in report.identities)
    all_of_it = "Everything that was looked at holds" if report.left else "Everything holds"
    verdict = all_of_it if report.holds else f"{broken} of {len(report.identities)} identities do not hold"
    through = ""
    if report.data_through:
        through = f", counted up to {report.data_through.isoformat(timespec='seconds')}"
    known = f"{report.hours_known:,} known from before" if report.hours_known else "none known from before"
    say(f"{verdict}{through}.")
    say(f"{report.hours_checked:,} hours compared with the raw events, {known}, in {report.seconds:.1f} s.")
    if report.left:
        spans = " and ".join(map(str, report.left))
        say(f"Not looked at for want of time: {spans}. The next audit goes on there; --seconds 0 has it all now.")
    if report.waiting:
        first = report.waiting[0].isoformat(timespec="minutes")
        say(f"{len(report.waiting)} quarters of an hour wait for refresh, from {first} on.")


def _verdict(identity: Identity) -> str:
    if not identity.holds:
        return "DIFFERS"
    return "waits" if identity.differences else "holds"


def _totals(identity: Identity) -> str:
    figures = [f"{name.removesuffix('_pico_usd').replace('_', ' ')} {said(name, value)}"
               for name, value in identity.totals.items()]  # fmt: skip
    return f"   {' · '.join(figures)}" if figures else ""


def _said(one: Difference) -> str:
    where = [one.relation]
    if one.bucket is not None:
        where.append(one.bucket.isoformat(timespec="minutes"))
    if one.tenant_id is not None:
        where.append(one.tenant_id)
    ending = " (waits for refresh)" if one.waiting else ""
    figures = f"{said(one.measure, one.found)}, must be {said(one.measure, one.expected)}"
    return f"{' '.join(where)} {one.measure}: {figures}{ending}"


def _span(start: datetime, end: datetime) -> str:
    return f"{start.astimezone(UTC):%Y-%m-%dT%H:%MZ}/{end.astimezone(UTC):%Y-%m-%dT%H:%MZ}"
