"""`spendstream replay FILE`: sends a file of usage through the running system and says what that counted."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from services.cli.client import Client, Unreachable
from services.cli.delivery import Outcome, Reading, Sent, Span, send_all, wait_counted
from services.cli.events_csv import BadFile, is_field
from services.cli.events_file import Source, Survey, events, survey
from services.cli.operating import show_json
from services.cli.system import spendstream
from services.cli.times import parse_instant
from services.contracts.limits import ACCEPT_FUTURE_SECONDS, ACCEPT_PAST_SECONDS

_CONSTANTS = (
    "tenant", "provider", "model", "feature", "agent-id", "section-path", "customer-id", "user-id", "channel",
    "region", "service-tier", "operation", "source",
)  # fmt: skip
# What shells say of a program that Ctrl-C ended.
_INTERRUPTED = 130


class _Instant(click.ParamType):
    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            return value if isinstance(value, datetime) else parse_instant(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Pair(click.ParamType):
    name = "field=column"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        name, equals, column = str(value).partition("=")
        if not equals or not column:
            self.fail(f"{value!r} is not FIELD=COLUMN", param, ctx)
        if not is_field(name):
            self.fail(f"an event has no field {name!r}", param, ctx)
        return name, column


def _with_constants(command: click.Command) -> click.Command:
    for name in reversed(_CONSTANTS):
        field = "tenant_id" if name == "tenant" else name.replace("-", "_")
        help_text = f"{field} of every event."
        command.params.insert(0, click.Option([f"--{name}", field], help=help_text, metavar="TEXT"))
    return command


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--map", "pairs", type=_Pair(), multiple=True, help="A CSV column for a field: occurred_at=TIMESTAMP.")
@click.option("--shift-end", type=_Instant(), help="Move all events in time so that the last one falls here.")
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
def replay(
    file: Path, pairs: tuple[tuple[str, str], ...], shift_end: datetime | None, as_json: bool, **constants: str | None
) -> None:
    """Send FILE, JSON lines of events or a CSV, through the running Spendstream; start one if there is none.

    The whole file is checked before anything is sent. Ids come from tenant, line number and line, so that sending
    a file again changes nothing; sent again with another --shift-end its lines are refused as conflicts.
    """
    given = {name: text for name, text in constants.items() if text}
    try:
        ok = _replay(Source(file, dict(pairs), given), shift_end, as_json=as_json)
    except BadFile as error:
        raise SystemExit(_complain(f"{file}: {error}")) from error
    except Unreachable as error:
        raise SystemExit(_complain(str(error))) from error
    except KeyboardInterrupt:
        _complain("stopped; replay the same again to send the rest, nothing counts twice")
        raise SystemExit(_INTERRUPTED) from None
    sys.exit(0 if ok else 1)


_with_constants(replay)


def _complain(message: str) -> int:
    """One line on stderr, and the exit code."""
    click.echo(f"spendstream replay: {' '.join(message.split())}", err=True)
    return 1


def _replay(source: Source, shift_end: datetime | None, *, as_json: bool) -> bool:
    found = survey(source)
    if len(found.tenants) > 1:
        raise BadFile(f"it has events of {len(found.tenants)} tenants; replay one tenant at a time with --tenant")
    shift = found.shift_to(shift_end)
    _warn_outside_window(found, shift)
    span = Span(min(found.tenants), (found.first + shift).date(), (found.last + shift).date())
    with spendstream(lambda text: click.echo(text, err=True)) as address, Client(address) as client:
        before = span.read(client)
        console = Console(stderr=True)
        bar = BarColumn(bar_width=40)
        columns = (TextColumn("{task.description}"), bar, MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            sending = progress.add_task("sent", total=found.events)
            sent = send_all(client, events(source, shift), lambda n: progress.advance(sending, n))
            counting = progress.add_task("counted", total=sent.accepted)
            after = wait_counted(client, span, before, sent.accepted, lambda n: progress.update(counting, completed=n))
    if as_json:
        show_json(to_json(source.path.name, found, span, sent, before, after))
    else:
        click.echo(report(source.path.name, found, span, sent, before, after))
    return _judge(sent, Outcome.between(before, after))


def report(name: str, found: Survey, span: Span, sent: Sent, before: Reading, after: Reading) -> str:
    """What the system says, for people: what became of the file, and the tenant's exact totals over its days."""
    totals, outcome = after.totals, Outcome.between(before, after)
    lines = {
        "calls": f"{totals.calls:,}",
        "prompt tokens": f"{totals.prompt_tokens:,}",
        "completion tokens": f"{totals.completion_tokens:,}",
        "cost": format_usd(f"{totals.cost_usd:f}"),
    }
    if totals.unpriced_events:
        lines["unpriced calls"] = f"{totals.unpriced_events:,} (no price in the book; not in the cost)"
    of_file = {"sent": found.events, "accepted": sent.accepted, "counted": outcome.counted}
    of_file |= {"duplicates": outcome.duplicate}
    for label, number in (("dead-lettered", outcome.dead_lettered), ("quarantined", outcome.quarantined)):
        of_file |= {label: number} if number else {}
    days = str(span.first) if span.first == span.last else f"{span.first} to {span.last}"
    return "\n".join(
        [
            f"{name}:",
            *(f"  {label:<18} {number:>14,}" for label, number in of_file.items()),
            f"{span.tenant_id}, {days} (UTC), as Spendstream counts it now:",
            *(f"  {label:<18} {text:>14}" for label, text in lines.items()),
        ]
    )


def to_json(name: str, found: Survey, span: Span, sent: Sent, before: Reading, after: Reading) -> dict[str, Any]:
    """The report for programs: the same figures, money as an exact decimal text."""
    totals, outcome = after.totals, Outcome.between(before, after)
    return {
        "file": name,
        "sent": found.events,
        "accepted": sent.accepted,
        "rejected": sent.rejected,
        **asdict(outcome),
        "tenant_id": span.tenant_id,
        "first_day": str(span.first),
        "last_day": str(span.last),
        "totals": {
            "calls": totals.calls,
            "prompt_tokens": totals.prompt_tokens,
            "completion_tokens": totals.completion_tokens,
            "cost_usd": f"{totals.cost_usd:f}",
            "unpriced_events": totals.unpriced_events,
        },
    }


def format_usd(cost_usd: str) -> str:
    """An exact amount to its last digit that isn't a trailing zero, with two decimals at least: $96.791325."""
    whole, _, fraction = cost_usd.partition(".")
    return f"${int(whole):,}.{fraction.rstrip('0').ljust(2, '0')}"


def _judge(sent: Sent, outcome: Outcome) -> bool:
    """Whether every event of the file is counted now; says on stderr what isn't."""
    if sent.rejected:
        reasons = sorted({str(rejected.get("reason")) for rejected in sent.rejected})
        _complain(f"{len(sent.rejected):,} events were rejected: {'; '.join(reasons[:5])}")
    if outcome.dead_lettered:
        _complain(
            f"{outcome.dead_lettered:,} events were refused behind the door; if these lines were replayed before with "
            "another --shift-end, mapping or constant, they are conflicts: the first stays as it was"
        )
    return not sent.rejected and not outcome.dead_lettered


def _warn_outside_window(found: Survey, shift: timedelta) -> None:
    now = datetime.now(UTC)
    past, ahead = timedelta(seconds=ACCEPT_PAST_SECONDS), timedelta(seconds=ACCEPT_FUTURE_SECONDS)
    if found.first + shift < now - past or found.last + shift > now + ahead:
        click.echo(
            f"Events more than {past.days} days old or {ahead.seconds // 60} minutes ahead are quarantined, not "
            "counted; --shift-end moves a trace.",
            err=True,
        )
