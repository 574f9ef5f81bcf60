"""Writes the published JSON Schema of a usage event; `--check` fails when what is committed differs."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from services.contracts.usage_schema import usage_schema

PUBLISHED = Path(__file__).resolve().parent.parent / "services" / "contracts" / "usage_schema.json"


def main() -> int:
    """Exit code 0, or 1 when `--check` finds drift."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    wanted = json.dumps(usage_schema(), indent=2, ensure_ascii=False) + "\n"
    if not check:
        PUBLISHED.write_text(wanted, encoding="utf-8")
    elif not PUBLISHED.is_file() or PUBLISHED.read_text(encoding="utf-8") != wanted:
        print(f"{PUBLISHED.name} differs from the proto and the limits; run `make proto`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
