"""What holds for all commands: they say how they are used, and speak JSON, and shells can complete them."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from services.cli.main import main


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
    assert "--json" in options


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_and_refuses_what_it_does_not_know(path: tuple[str, ...]) -> None:
    explained = CliRunner().invoke(main, [*path, "--help"])
    assert (explained.exit_code, "Usage:" in explained.stdout) == (0, True)
    assert COMMANDS[path].help
    refused = CliRunner().invoke(main, [*path, "--no-such-option"], prog_name="spendstream")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr.startswith(f"spendstream {' '.join(path)}: ")
    assert "no-such-option" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_an_unknown_command_is_exit_code_2() -> None:
    for path in ((), ("dlq",)):
        result = CliRunner().invoke(main, [*path, "spend"], prog_name="spendstream")
        said = f"{' '.join(('spendstream', *path))}: No such command 'spend'."
        assert (result.exit_code, result.stderr.splitlines()) == (2, [said])


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
