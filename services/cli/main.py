"""The `spendstream` command. Subcommands are imported when they are called."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click

# Subcommand → (module, name of the click command in it, what the help says).
_COMMANDS = {
    "up": ("services.cli.up", "up", "Run everything on this machine until Ctrl-C."),
    "price": ("services.cli.price", "price", "Check the price book, look into it, take over prices."),
    "replay": ("services.cli.replay", "replay", "Send a file of events and wait until it is counted."),
    "audit": ("services.cli.audit", "audit", "Check the identities that must hold."),
    "dlq": ("services.cli.dlq", "dlq", "List, show and replay dead letters."),
    "quarantine": ("services.cli.quarantine", "quarantine", "List and admit events outside the acceptance window."),
    "keys": ("services.cli.keys", "keys", "Make, list and revoke API keys."),
    "top": ("services.cli.top", "top", "Show what is being spent right now, and on what."),
    "completion": ("services.cli.completion", "completion", "Print what a shell needs to complete commands."),
    "adopt": ("services.cli.adopt", "adopt", "Go on with a usage topic that was recreated, cut or restored."),
}


@contextmanager
def _in_one_line() -> Iterator[None]:
    """What went wrong is one line on stderr; click would say how the command is used before it."""
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        where = context.command_path if context else "spendstream"
        click.echo(f"{where}: {' '.join(error.format_message().split())}", err=True)
        sys.exit(error.exit_code)


class _LazyGroup(click.Group):
    """Knows its subcommands by name, so that `--help` needs none of their libraries."""

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **more: Any) -> click.Context:  # noqa: ANN401
        with _in_one_line():
            return super().make_context(info_name, args, *rest, **more)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401
        with _in_one_line():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, name, _ = _COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _COMMANDS[name][2]) for name in self.list_commands(ctx)])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="spendstream")
def main() -> None:
    """Spendstream: what AI calls cost, who spends, on what, and why it went up."""


if __name__ == "__main__":
    main()
