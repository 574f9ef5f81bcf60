"""Plays the demo through the running gateway, as any service would send: `python -m services.cli.demo`.

It remembers in its data folder when it was first played, so that a restart carries on instead of counting twice.
"""

from __future__ import annotations

import heapq
import itertools
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.cli import demo_budgets, demo_globex, demo_receiver, demo_story
from services.cli.client import Address, Client, Unreachable
from services.cli.delivery import send_all
from services.cli.events_csv import Event
from services.cli.times import format_instant, parse_instant
from services.runtime.embedded.home import default_home, write_private

Timed = tuple[datetime, Event]
Say = Callable[[str], None]

_READY_SECONDS_MAX = 120.0
_COUNTED_SECONDS_MAX = 90.0
_REST_SECONDS = 5.0
# Sent again after a restart, in case the end wasn't reached: the ids are the same.
_OVERLAP = timedelta(minutes=10)
_REMEMBER_EVERY = timedelta(minutes=1)


class DemoSettings(BaseSettings):
    """Where to play it. All of it is set by `spendstream up`."""

    model_config = SettingsConfigDict(env_prefix="SPENDSTREAM_", frozen=True)

    query_url: str = "http://127.0.0.1:8000"
    gateway_url: str = "http://127.0.0.1:8080"
    admin_key: SecretStr
    home: Path = Field(default_factory=default_home)
    demo_port: int | None = None


@dataclass(frozen=True, slots=True)
class Played:
    """How far the demo is: its first start, what globex has sent, when the prompts grew. RFC 3339."""

    base: str
    through: str | None = None
    burst: str | None = None

    @classmethod
    def load(cls, path: Path) -> Played | None:
        return cls(**json.loads(path.read_text())) if path.exists() else None

    def save(self, path: Path) -> None:
        write_private(path, json.dumps(asdict(self)))


def play(client: Client, path: Path, now: Callable[[], datetime], say: Say) -> None:
    """Plays it and goes on with a trickle for ever; None at once when somebody else's demo data is already there."""
    played = Played.load(path)
    if played is None:
        if _already_there(client, now()):
            say("acme-corp has calls, and this data folder hasn't played the demo: not playing it twice.")
            return
        played = Played(base=format_instant(now().replace(microsecond=0)))
        played.save(path)
    base = parse_instant(played.base)
    if played.through is None:
        demo_budgets.name_tenants(client, say)
        sent = send_all(client, demo_story.small_tenants(base), _ignore)
        say(f"acme-corp and bigco-inc: {sent.accepted} calls, {len(sent.rejected)} rejected.")
    played = _catch_up(client, played, base, now(), say)
    if played.burst is None:
        _wait_counted(client, now, say)
        demo_budgets.set_budgets(client, now().date(), say)
        played = replace(played, burst=format_instant(now()))
        say("globex: the prompts of summarise grow now.")
    played.save(path)
    _live(client, played, path, now, say)


def _catch_up(client: Client, played: Played, base: datetime, now: datetime, say: Say) -> Played:
    """Sends what globex did until now: four weeks at first, later what happened since."""
    since = parse_instant(played.through) - _OVERLAP if played.through else base - demo_globex.HISTORY
    since = max(since, now - demo_globex.HISTORY)
    started = time.monotonic()
    history = (event for at, event in itertools.takewhile(lambda timed: timed[0] <= now, _stream(since, base)))
    sent = send_all(client, history, _ignore)
    say(f"globex: {sent.accepted:,} calls, {len(sent.rejected)} rejected, in {time.monotonic() - started:.1f} s.")
    return replace(played, through=format_instant(now))


def _stream(since: datetime, base: datetime) -> Iterator[Timed]:
    """All that globex does after `since`, without end."""
    for hour in demo_globex.hours(since, datetime.max.replace(tzinfo=UTC)):
        yield from (timed for timed in demo_globex.events_of_hour(hour, base) if timed[0] > since)


def _live(client: Client, played: Played, path: Path, now: Callable[[], datetime], say: Say) -> NoReturn:
    """Sends each event when its time comes, the growing prompts among them."""
    assert played.through and played.burst, "the history was sent"
    through, saved = parse_instant(played.through), now()
    burst = demo_story.burst(parse_instant(played.burst))
    fresh = itertools.dropwhile(lambda timed: timed[0] < through - _OVERLAP, burst)
    for at, event in heapq.merge(fresh, _stream(through, parse_instant(played.base)), key=lambda timed: timed[0]):
        time.sleep(max(0.0, (at - now()).total_seconds()))
        _send_at_last(client, event, say)
        if at - saved > _REMEMBER_EVERY:
            replace(played, through=format_instant(at)).save(path)
            saved = at
    raise AssertionError("the stream has no end")


def _send_at_last(client: Client, event: Event, say: Say) -> None:
    """Sends one event, however long the gateway is away."""
    while True:
        try:
            client.send([event])
            return
        except Unreachable as error:
            say(f"waiting: {error}")
            time.sleep(_REST_SECONDS)


def _already_there(client: Client, now: datetime) -> bool:
    today = now.date()
    return client.totals("acme-corp", today - timedelta(days=40), today).calls > 0


def _wait_counted(client: Client, now: Callable[[], datetime], say: Say) -> None:
    """Waits for the history to be counted: before it is, nothing is unusual."""
    sent_at, deadline = now(), time.monotonic() + _COUNTED_SECONDS_MAX
    while time.monotonic() < deadline:
        through = client.totals(demo_globex.TENANT_ID, sent_at.date(), sent_at.date()).data_through
        if through is not None and through >= sent_at:
            return
        time.sleep(0.5)
    say("globex: its history isn't counted yet; going on.")


def _ignore(_count: int) -> None:
    """Nobody watches the demo's progress."""


def main() -> int:
    """Exit code 0 when stopped, 1 when the system isn't there."""
    settings = DemoSettings()
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    if settings.demo_port is not None:
        demo_receiver.serve(settings.demo_port, demo_receiver.Inbox(settings.home / "demo-slack.jsonl"))
    address = Address(settings.query_url, settings.gateway_url, settings.admin_key.get_secret_value())

    def say(line: str) -> None:
        print(line, flush=True)

    with Client(address) as client:
        try:
            _wait_ready(client)
            play(client, settings.home / "demo.json", lambda: datetime.now(UTC), say)
        except Unreachable as error:
            say(f"The demo stopped: {error}")
            return 1
        except KeyboardInterrupt:
            return 0
    # Played by somebody else; what Slack would get is still of interest.
    if settings.demo_port is not None:
        signal.pause()
    return 0


def _wait_ready(client: Client) -> None:
    deadline = time.monotonic() + _READY_SECONDS_MAX
    while True:
        try:
            client.require_ready()
            return
        except Unreachable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)


if __name__ == "__main__":
    raise SystemExit(main())
