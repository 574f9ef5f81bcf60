"""Code blocks of the documents that are marked `run` are run, as they stand there, against the running whole."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.system.conftest import ROOT, System

DOCUMENTS = ("docs/quickstart.md", "docs/sending-events.md", "services/sdk/README.md")
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
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{block.code}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_there_are_blocks_to_run_in_each_document() -> None:
    assert {block.document for block in BLOCKS} == set(DOCUMENTS)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.document}: {block.code.splitlines()[-1][:40]}")
def test_a_block_does_what_its_document_says(system: System, block: Block) -> None:
    said = run(system, block)
    if "/v1/events" in block.code:
        assert json.loads(said)["accepted"] == 1
    elif "/api/v1/keys" in block.code:
        assert json.loads(said)["data"]["key"].startswith("sps_")
    elif "/api/v1/costs" in block.code:
        (row,) = json.loads(said)["data"]
        # 180 tokens at $0.15 and 70 at $0.60 a million, as often as the document was followed.
        assert float(row["cost_usd"]) == pytest.approx(0.000069 * row["calls"])
    elif " top " in block.code:
        assert "gpt-4o-mini" in said
    else:
        assert re.search(r"sent=[13], rejected=0, dropped=0, failed=0", said)


def test_top_says_in_json_what_the_page_says(system: System) -> None:
    command = [sys.executable, "-m", "services.cli.main", "top", "--once", "--json", "--by", "tenant_id"]
    done = subprocess.run(command, cwd=ROOT, env=system.environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    look = json.loads(done.stdout)
    assert "acme-corp" in {row["tenant_id"] for row in look["rows"]}
    refused = subprocess.run(
        [*command, "--tenant", "nobody-knows-it"], cwd=ROOT, env=system.environment, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("spendstream top: ")
    assert refused.stderr.count("\n") == 1


def test_up_says_in_json_where_everything_is_and_keeps_the_databases_password(system: System) -> None:
    said = json.loads(system.said.read_text())
    assert (said["urls"], said["admin_key"]) == (system.running.urls, system.running.admin_key)
    assert said["sign_in_url"].startswith(f"{system.running.urls['query']}/sign-in?token=")
    assert "database_dsn" not in said
