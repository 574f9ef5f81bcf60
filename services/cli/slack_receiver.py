"""Stands in for Slack on this machine: `python -m services.cli.slack_receiver --port N`.

POST anywhere takes a message as an incoming webhook does (answer: the text `ok`), `/` shows the messages as Slack
would, `/messages` gives them as JSON.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from services.cli.demo_receiver import Inbox, serve


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0 takes a free one.")
@click.option("--keep", type=click.Path(dir_okay=False, path_type=Path), help="A file to keep the messages in.")
def main(port: int, keep: Path | None) -> None:
    """Receives Slack messages and shows them at http://127.0.0.1:PORT/ until Ctrl-C."""
    with TemporaryDirectory(prefix="spendstream-slack-") as folder:
        try:
            server = serve(port, Inbox(keep or Path(folder) / "messages.jsonl"))
        except OSError as error:
            click.echo(f"port {port} can't be listened on: {error.strerror}", err=True)
            sys.exit(1)
        address = f"http://127.0.0.1:{server.server_address[1]}"
        click.echo(f"Messages to {address}/hook, shown at {address}/")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            server.shutdown()


if __name__ == "__main__":
    main()
