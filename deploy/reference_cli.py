"""The reference of the `spendstream` command, as Markdown, from its own help."""

from __future__ import annotations

from collections.abc import Iterator

import click


def command_lines(command: click.Command, path: str) -> Iterator[str]:
    """A section per command, groups before what is in them."""
    context = click.Context(command, info_name=path)
    yield f"## {path}" if path.count(" ") <= 1 else f"### {path}"
    yield ""
    yield from _help(command)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from command_lines(found, f"{path} {name}")
        return
    pieces = command.collect_usage_pieces(context)
    yield "```"
    yield " ".join((path, *pieces))
    yield "```"
    yield ""
    options = [one for one in command.params if isinstance(one, click.Option)]
    if options:
        yield "| option | |"
        yield "|---|---|"
        for option in options:
            record = option.get_help_record(context)
            if record is not None:
                names, said = (text.replace("|", "\\|") for text in record)
                yield f"| `{names}` | {said} |"
        yield ""


def _help(command: click.Command) -> Iterator[str]:
    for paragraph in (command.help or "").partition("\f")[0].split("\n\n"):
        text = " ".join(paragraph.split())
        if text:
            yield text
            yield ""
