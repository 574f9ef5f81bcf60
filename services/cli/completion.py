"""`spendstream completion SHELL`: what a shell needs to complete commands and options with the tab key."""

from __future__ import annotations

import json

import click
from click.shell_completion import get_completion_class

_SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout: the shell and its script.")
def completion(shell: str, as_json: bool) -> None:
    """Print the completion script for SHELL.

    bash: `eval "$(spendstream completion bash)"` in ~/.bashrc. zsh: the same with zsh in ~/.zshrc. fish:
    `spendstream completion fish > ~/.config/fish/completions/spendstream.fish`.
    """
    from services.cli.main import main

    found = get_completion_class(shell)
    assert found is not None, "click knows the shells that are offered"
    script = found(main, {}, "spendstream", "_SPENDSTREAM_COMPLETE").source()
    click.echo(json.dumps({"shell": shell, "script": script}) if as_json else script)
