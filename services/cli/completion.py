"""`spendstream completion SHELL`: what a shell needs to complete commands and options with the tab key."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from services.cli.operating import OneLine

_SHELLS = ("bash", "zsh", "fish")


@click.command(cls=OneLine)
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(shell: str) -> None:
    """Print the completion script for SHELL.

    bash: `eval "$(spendstream completion bash)"` in ~/.bashrc. zsh: the same with zsh in ~/.zshrc. fish:
    `spendstream completion fish > ~/.config/fish/completions/spendstream.fish`.
    """
    from services.cli.main import main

    found = get_completion_class(shell)
    assert found is not None, "click knows the shells that are offered"
    click.echo(found(main, {}, "spendstream", "_SPENDSTREAM_COMPLETE").source())
