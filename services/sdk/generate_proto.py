"""Generates the SDK's own copy of the stubs from `proto/`; `--check` fails when what is committed differs."""

from __future__ import annotations

import sys
import tempfile
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[2]
STUBS = Path(__file__).resolve().parent / "spendstream_sdk" / "_proto"
NAMES = ("usage_pb2.py", "usage_pb2.pyi")


def generate() -> dict[str, str]:
    """File name to text; raises SystemExit when protoc fails."""
    with tempfile.TemporaryDirectory() as folder:
        include = resources.files("grpc_tools") / "_proto"
        arguments = ["protoc", f"-I{ROOT / 'proto'}", f"-I{include}", f"--python_out={folder}", f"--pyi_out={folder}"]
        if protoc.main([*arguments, "spendstream/v1/usage.proto"]) != 0:
            raise SystemExit("protoc failed")
        return {name: (Path(folder) / "spendstream" / "v1" / name).read_text() for name in NAMES}


def main() -> int:
    fresh = generate()
    if "--check" in sys.argv[1:]:
        drifted = [name for name, text in fresh.items() if (STUBS / name).read_text() != text]
        for name in drifted:
            print(f"{STUBS / name} differs from what proto/ generates", file=sys.stderr)
        return 1 if drifted else 0
    for name, text in fresh.items():
        (STUBS / name).write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
