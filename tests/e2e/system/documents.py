"""Code blocks of the documents that are marked `run` are run, as they stand there, against the running whole."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.system.conftest import ROOT, System

DOCUMENTS = (
    "README.md", "docs/quickstart.md", "docs/sending-events.md", "services/sdk/README.md", "docs/security.md",
    "docs/pricing.md",
)  # fmt: skip
_BLOCK = re.compile(r"^```(sh|python) run\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    document: str
    language: str
    code: str


BLOCKS = [Block(name, *found) for name in DOCUMENTS for found in _BLOCK.findall((ROOT / name).read_text())]


def run(system: System, block: Block) -> str:
    """What it prints; addresses and key are those of the running system."""
    urls = system.running.urls
    code = block.code
    for written, real in (
        ("http://127.0.0.1:8080", urls["gateway"]), ("http://127.0.0.1:8000", urls["query"]),
        ("127.0.0.1:50051", urls["grpc"]), ('"KEY"', repr(system.running.admin_key)), (".venv/bin/", ""),
    ):  # fmt: skip
        code = code.replace(written, real)
    if block.language == "python":
        command = [sys.executable, "-c", code + "\nassert meter.flush(20)\nprint(meter.stats())\n"]
    else:
        command = ["bash", "-euo", "pipefail", "-c", code]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**system.environment, "PATH": path, "KEY": system.running.admin_key, "DOOR": urls["gateway"]}
    deadline = time.monotonic() + 30
    while True:
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{block.code}\n{done.stdout}{done.stderr}"
        # What was sent a block before may be on its way still.
        if "group_by=tenant_id" not in block.code or "my-team" in done.stdout or time.monotonic() > deadline:
            return done.stdout


def check(block: Block, said: str) -> None:
    """Whether it printed what its document says it would."""
    if "/v1/events" in block.code:
        assert json.loads(said)["accepted"] == 1
    elif "/api/v1/keys" in block.code:
        assert json.loads(said)["data"]["key"].startswith("sps_")
    elif "/prices/overrides" in block.code:
        assert json.loads(said)["data"]["tenant_id"] == "my-team"
    elif "keys create" in block.code:
        assert said.count("sps_") == 2
        assert re.search(r"ingest +acme-corp +chat service", said)
    elif "replay" in block.code:
        assert re.search(r"counted +1\b", said), said
    elif "group_by=tenant_id" in block.code:
        assert '"my-team"' in said
        assert re.search(r"^research +\$0", said, re.MULTILINE), said
    elif "/api/v1/costs" in block.code:
        (row,) = json.loads(said)["data"]
        # 180 tokens at $0.15 and 70 at $0.60 a million, as often as the document was followed.
        assert float(row["cost_usd"]) == pytest.approx(0.000069 * row["calls"])
    elif " top " in block.code:
        assert "gpt-4o-mini" in said
    else:
        assert re.search(r"sent=[13], rejected=0, dropped=0, failed=0", said)
