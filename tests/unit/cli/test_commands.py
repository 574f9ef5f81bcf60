"""What holds for all commands: they say how they are used, and speak JSON, and shells can complete them."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from services.cli.main import main

# What they print is for a shell.
WITHOUT_JSON = {"completion"}


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from leaves(found, (*path, name))


COMMANDS = dict(leaves(main))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_speaks_json(path: tuple[str, ...]) -> None:
    options = [option for parameter in COMMANDS[path].params for option in parameter.opts]
    assert ("--json" in options) == (path[0] not in WITHOUT_JSON)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_and_refuses_what_it_does_not_know(path: tuple[str, ...]) -> None:
    explained = CliRunner().invoke(main, [*path, "--help"])
    assert (explained.exit_code, "Usage:" in explained.stdout) == (0, True)
    assert COMMANDS[path].help
    refused = CliRunner().invoke(main, [*path, "--no-such-option"])
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "no-such-option" in refused.stderr


def test_an_unknown_command_is_exit_code_2() -> None:
    result = CliRunner().invoke(main, ["spend"])
    assert (result.exit_code, "No such command 'spend'" in result.stderr) == (2, True)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_asks_the_command(shell: str) -> None:
    result = CliRunner().invoke(main, ["completion", shell])
    assert result.exit_code == 0
    assert f"_SPENDSTREAM_COMPLETE={shell}_complete" in result.stdout


@pytest.mark.parametrize(
    ("words", "start", "found"),
    [
        ([], "re", {"replay"}),
        (["dlq"], "", {"list", "replay", "resume", "show"}),
        (["top", "--by"], "agent", {"agent_id"}),
    ],
)
def test_shells_can_complete_commands_options_and_choices(words: list[str], start: str, found: set[str]) -> None:
    complete = ShellComplete(main, {}, "spendstream", "_SPENDSTREAM_COMPLETE")
    assert {item.value for item in complete.get_completions(words, start)} == found
