#!/usr/bin/env python3
"""Writes `.env` for docker-compose.yml: `.env.example` with its secrets made up. Needs Python and nothing else.

python3 deploy/make_env.py          write .env; one that is there is completed, what it has is kept
"""

from __future__ import annotations

import base64
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def _token() -> str:
    return secrets.token_urlsafe(32)


MADE_UP: dict[str, Callable[[], str]] = {
    "SPENDSTREAM_POSTGRES_PASSWORD": _token,
    "SPENDSTREAM_DATABASE_PASSWORD": _token,
    "SPENDSTREAM_ADMIN_KEY": lambda: "sps_" + _token(),
    "SPENDSTREAM_SESSION_SECRET": _token,
    "SPENDSTREAM_ADDRESS_KEY": lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    "SPENDSTREAM_WEBHOOK_SECRET": lambda: "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(),
    "SPENDSTREAM_GRAFANA_ADMIN_PASSWORD": _token,
    "SPENDSTREAM_GRAFANA_PASSWORD": _token,
}


def read_values(text: str) -> dict[str, str]:
    """The assignments of an env file."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def complete(example: str, present: str) -> str:
    """The text of an env file: the example's lines, with the values of `present` where it has some, else made up."""
    known = {name: value for name, value in read_values(present).items() if value}
    lines = []
    for line in example.splitlines():
        name, assigned, default = line.partition("=")
        if not assigned or line.startswith("#"):
            lines.append(line)
            continue
        made = MADE_UP[name]() if name in MADE_UP and name not in known else default
        lines.append(f"{name}={known.pop(name, made)}")
    lines += [f"{name}={value}" for name, value in known.items()]
    return "\n".join(lines) + "\n"


def main() -> int:
    if sys.argv[1:]:
        print(__doc__)
        return 0 if sys.argv[1] in ("-h", "--help") else 2
    example, target = ROOT / ".env.example", ROOT / ".env"
    present = target.read_text() if target.exists() else ""
    text = complete(example.read_text(), present)
    if text == present:
        print(f"{target} has all it needs.")
        return 0
    draft = target.with_name(".env.new")
    draft.unlink(missing_ok=True)
    # Readable by nobody else from its first moment.
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(target)
    print(f"Wrote {target}, readable by you only. Next: docker compose up --detach")
    return 0


if __name__ == "__main__":
    sys.exit(main())
