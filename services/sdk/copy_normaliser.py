"""Copies the normaliser of usage objects into the SDK, which imports nothing of ours; `--check` finds a difference."""

from __future__ import annotations

import sys
from pathlib import Path

SDK = Path(__file__).resolve().parent
ORIGINAL = SDK.parent / "contracts" / "normalise.py"
COPY = SDK / "spendstream_sdk" / "normalise.py"


def main() -> int:
    text = ORIGINAL.read_text()
    if "--check" in sys.argv[1:]:
        if COPY.read_text() != text:
            print(f"{COPY} differs from {ORIGINAL}: run {Path(__file__).name}", file=sys.stderr)
            return 1
        return 0
    COPY.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
