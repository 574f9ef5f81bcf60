"""Generates the Python stubs from `proto/`; `--check` fails when what is committed differs."""

from __future__ import annotations

import argparse
import filecmp
import shutil
import sys
import tempfile
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
STUBS = ROOT / "services" / "contracts" / "stubs"
SOURCES = ("spendstream/v1/usage.proto", "spendstream/v1/spike.proto")


def generate(out: Path) -> None:
    """Writes the stubs below `out` as the packages `spendstream.v1`; raises SystemExit when protoc fails."""
    include = str(resources.files("grpc_tools") / "_proto")
    arguments = ["protoc", f"-I{ROOT / 'proto'}", f"-I{include}"]
    arguments += [f"--python_out={out}", f"--pyi_out={out}", f"--grpc_python_out={out}", *SOURCES]
    if protoc.main(arguments) != 0:
        raise SystemExit("protoc failed")
    for stub in out.rglob("*.py*"):
        # The stubs live inside this project's package; protoc only knows the proto package's name.
        text = stub.read_text().replace(
            "from spendstream.v1 import", "from services.contracts.stubs.spendstream.v1 import"
        )
        stub.write_text(text)
    for empty in out.rglob("spike_pb2_grpc.py"):
        empty.unlink()
    for folder in (out, out / "spendstream", out / "spendstream" / "v1"):
        (folder / "__init__.py").touch()


def differences(left: Path, right: Path) -> list[str]:
    """Names of files that differ or are on one side only."""
    names = {p.relative_to(left) for p in left.rglob("*.py*")} | {p.relative_to(right) for p in right.rglob("*.py*")}
    names = {name for name in names if "__pycache__" not in name.parts}
    _, mismatched, missing = filecmp.cmpfiles(left, right, [str(name) for name in names], shallow=False)
    return sorted(mismatched + missing)


def main() -> int:
    """Exit code 0, or 1 when `--check` finds drift."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        generate(fresh)
        if check:
            drifted = differences(fresh, STUBS)
            for name in drifted:
                print(f"{name}: differs from what proto/ generates; run `make proto`", file=sys.stderr)
            return 1 if drifted else 0
        shutil.rmtree(STUBS, ignore_errors=True)
        shutil.copytree(fresh, STUBS)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
