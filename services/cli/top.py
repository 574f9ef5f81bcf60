"""`spendstream top`: what is being spent right now, and on what, again and again until Ctrl-C."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import click
import orjson
from rich.console import Console
from rich.live import Live

from services.cli.client import Address, Client, Unreachable
from services.cli.operating import EXIT_FAILED
from services.cli.system import address_of_running
from services.cli.top_view import MEASURES, Look, amounts, render
from services.contracts.dimensions import DIMENSIONS

_SECONDS = {"m": 60, "h": 3_600, "d": 86_400}
_WINDOW_MAX = timedelta(days=35)
_SHOWN_MAX = 200
_COSTS = "/api/v1/costs"


class _Window(click.ParamType):
    name = "window"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        match = re.fullmatch(r"(\d{1,4})([mhd])", str(value))
        window = timedelta(seconds=int(match[1]) * _SECONDS[match[2]]) if match else timedelta()
        if not timedelta() < window <= _WINDOW_MAX:
            self.fail(f"{value!r} is no window: 15m, 1h, 7d, at most {_WINDOW_MAX.days}d", param, ctx)
        return window


@click.command()
@click.option("--by", default="feature", show_default=True, type=click.Choice(DIMENSIONS), help="What rows are.")
@click.option("--window", default="1h", show_default=True, type=_Window(), help="How far back: 15m, 1h, 7d.")
@click.option("--tenant", help="Only this tenant's.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, _SHOWN_MAX), help="Rows, dearest first.")
@click.option("--interval", default=2.0, show_default=True, type=click.FloatRange(0.5, 3_600), help="Seconds.")
@click.option("--once", is_flag=True, help="Look once; so it is when the output is no terminal.")
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout, a line for each look.")
def top(by: str, window: timedelta, tenant: str | None, limit: int, interval: float, once: bool, as_json: bool) -> None:
    """Show what is being spent right now, and on what; Ctrl-C ends it.

    Of the Spendstream that runs here, or the one that SPENDSTREAM_URL and SPENDSTREAM_ADMIN_KEY name; a viewer's key
    will do, and shows its tenant.
    """
    try:
        with Client(find_address(os.environ)) as client:
            watch = _Watch(client, by, window, tenant, limit)
            if as_json:
                _print_lines(watch, interval, once=once)
            elif once or not sys.stdout.isatty():
                console = Console()
                console.print(render(watch.look(), console.width))
            else:
                _live(watch, interval)
    except Unreachable as error:
        click.echo(f"spendstream top: {' '.join(str(error).split())}", err=True)
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        return


def find_address(environment: Mapping[str, str]) -> Address:
    """The query service to ask; raises Unreachable."""
    url, key = environment.get("SPENDSTREAM_URL", ""), environment.get("SPENDSTREAM_ADMIN_KEY", "")
    if url and not key:
        raise Unreachable("SPENDSTREAM_ADMIN_KEY isn't set, beside SPENDSTREAM_URL")
    address = Address(url.rstrip("/"), "", key) if url else address_of_running()
    if address is None:
        raise Unreachable("Spendstream isn't running here; start it, or set SPENDSTREAM_URL and SPENDSTREAM_ADMIN_KEY")
    return address


class _Watch:
    """Asks the same questions again and again."""

    def __init__(self, client: Client, by: str, window: timedelta, tenant: str | None, limit: int) -> None:
        self._client, self._by, self._window, self._tenant, self._limit = client, by, window, tenant, limit

    def look(self) -> Look:
        """Raises Unreachable."""
        now = datetime.now(UTC)
        span = {"from": (now - self._window).isoformat(), "to": now.isoformat(), "tz": "UTC"}
        if self._tenant:
            span["tenant_id"] = self._tenant
        measures = ",".join(MEASURES)
        asked = {"group_by": self._by, "measures": measures, "limit": str(self._limit)}
        answer = self._client.get(_COSTS, span | asked)
        granularity = "minute" if self._window <= timedelta(hours=2) else "hour"
        if self._window > timedelta(days=4):
            granularity = "day"
        past = self._client.get(_COSTS, span | {"granularity": granularity, "measures": "cost_usd", "limit": "1000"})
        through = answer.get("data_through")
        return Look(
            at=now,
            window=self._window,
            by=self._by,
            tenant_id=self._tenant,
            rows=tuple(answer["data"]),
            totals=answer["totals"],
            past=amounts(past["data"]),
            unpriced_events=int(answer.get("unpriced_events") or 0),
            data_through=datetime.fromisoformat(through).astimezone(UTC) if through else None,
        )


def _print_lines(watch: _Watch, interval: float, *, once: bool) -> None:
    while True:
        click.echo(orjson.dumps(watch.look().to_json()).decode())
        if once:
            return
        time.sleep(interval)


def _live(watch: _Watch, interval: float) -> None:
    """On a screen of its own; a look that fails is said below the last one that didn't."""
    look = watch.look()
    console = Console()
    with Live(render(look, console.width), console=console, screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(interval)
            trouble = ""
            try:
                look = watch.look()
            except Unreachable as error:
                trouble = str(error)
            live.update(render(look, console.width, trouble), refresh=True)
