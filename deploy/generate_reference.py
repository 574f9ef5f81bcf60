"""Writes docs/reference/api.md and cli.md from the services' OpenAPI and the command's help; `--check` finds drift."""

from __future__ import annotations

import argparse
import sys
import textwrap
from pathlib import Path
from typing import Any, cast

from deploy.reference_api import api_lines
from deploy.reference_cli import command_lines
from services.cli.main import main as spendstream
from services.contracts.dimensions import DIMENSIONS, MEASURES
from services.gateway.http_app import make_app
from services.query.app import build_app

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"
_MADE = "<!-- Made by `python -m deploy.generate_reference`; not edited by hand. -->"
_API_HEAD = f"""{_MADE}

# HTTP API

`Authorization: Bearer KEY` on every call; a key of one tenant sees that tenant only, and an unknown id and a
forbidden one look the same (404). Errors are `application/problem+json` (RFC 9457) and name each wrong parameter.
`from` is inclusive, `to` exclusive, an instant (RFC 3339) or a local date; `tz` is an IANA name, by default the
tenant's, else UTC; without a range the last 30 days are meant. Lists hold `limit` rows (100), `next_cursor` leads
to the next page.

Under `/api/v1` an answer is `{{"data", "totals", "data_through", "unpriced_events", "late_events",
"next_cursor"}}`, names are snake_case, and money is an exact decimal string. The operator portal answers bare
arrays, cost tracking and admin `{{"success": true, "data": …}}` in camelCase with money as JSON numbers. A running
query service shows the same at `/docs`, and for machines at `/openapi.json`.
"""
_CLI_HEAD = f"""{_MADE}

# The `spendstream` command

**Exit codes**: 0 it is done, or all is well; 1 it failed, or not all is well; 2 it was called wrongly. `audit` says
1 where an identity doesn't hold and 2 where it couldn't look. Ctrl-C in a `replay` is 130. What went wrong is one
line on standard error.

**`--json`**: one JSON document on standard output, everything for people on standard error; `top --json` prints a
line a look.

**Where it looks**: at the Spendstream that `spendstream up` runs on this machine, or the one the environment names:
`SPENDSTREAM_DATABASE_DSN` and `SPENDSTREAM_KAFKA_BOOTSTRAP` for commands that work on broker and database (`adopt`,
`audit`, `dlq`, `keys`, `quarantine`), `SPENDSTREAM_URL`, `SPENDSTREAM_GATEWAY_URL` and `SPENDSTREAM_ADMIN_KEY` for
those that talk to services (`replay`, `top`).

**Completion**: `eval "$(spendstream completion bash)"` in `~/.bashrc`, the same with `zsh` in `~/.zshrc`, or
`spendstream completion fish > ~/.config/fish/completions/spendstream.fish`.
"""


def _names() -> list[str]:
    """What `group_by`, `filter[…]` and `measures` of /api/v1/costs may name."""
    lists = (("Dimensions", DIMENSIONS), ("Measures", tuple(MEASURES)))
    lines = [
        textwrap.fill(f"**{title}** of `/api/v1/costs`: {', '.join(f'`{name}`' for name in names)}.", 116)
        for title, names in lists
    ]
    return [each for line in lines for each in (line, "")]


def pages() -> dict[str, str]:
    """File name to text. Nothing is opened or connected: the apps only describe themselves."""
    gateway = make_app(cast("Any", None), cast("Any", None), cast("Any", None)).openapi()
    query = build_app(cast("Any", None)).openapi()
    api = [*api_lines("Gateway: sending events", gateway), *api_lines("Query service: reading and managing", query)]
    cli = [*command_lines(spendstream, "spendstream")][4:]  # its own heading and sentence are in the head
    return {
        "api.md": "\n".join([_API_HEAD, *_names(), *api]).rstrip("\n") + "\n",
        "cli.md": "\n".join([_CLI_HEAD, *cli]).rstrip("\n") + "\n",
    }


def main() -> int:
    """Exit code 0, or 1 when `--check` finds drift."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    drifted = []
    for name, text in pages().items():
        path = REFERENCE / name
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            drifted.append(name)
    for name in drifted:
        print(
            f"docs/reference/{name} differs from what the services say: python -m deploy.generate_reference",
            file=sys.stderr,
        )
    return 1 if drifted else 0


if __name__ == "__main__":
    raise SystemExit(main())
