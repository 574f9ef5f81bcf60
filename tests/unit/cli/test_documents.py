"""What the documents tell people to send is what the doors accept."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from google.protobuf import json_format

from services.contracts.admission import admit
from services.contracts.json_event import decode_event
from services.contracts.json_strict import parse_json
from services.contracts.stubs.spendstream.v1 import usage_pb2

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = ("README.md", "docs/sending-events.md")
ALL = sorted(path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")))
_SHELL = {"'$(cat /proc/sys/kernel/random/uuid)'": "some-id", "'$(date -u +%FT%TZ)'": "2026-11-22T12:00:00Z"}


def bodies(document: str, command: str) -> list[str]:
    """The JSON that commands of this name send, as the shell would have written it."""
    text = (ROOT / document).read_text()
    found = re.findall(rf"^{command}\b[^`]*?-d '(\{{.*?\}})'(?= *\\?$)", text, re.DOTALL | re.MULTILINE)
    for shell, written in _SHELL.items():
        found = [body.replace(shell, written) for body in found]
    return [body for body in found if "event_id" in body]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_curl_command_sends_an_acceptable_event(document: str) -> None:
    (body,) = bodies(document, "curl")
    assert admit(decode_event(parse_json(body.encode()))) is None


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_grpcurl_command_sends_an_acceptable_event(document: str) -> None:
    (body,) = bodies(document, "grpcurl")
    request = json_format.Parse(body, usage_pb2.RecordUsageRequest())
    assert [admit(event) for event in request.batch.events] == [None]


# Blocks of commands and programs that no test runs as they stand, by how they begin, and what holds them instead.
NOT_RUN = {
    "make run": "tests/e2e/system runs what it runs",
    "make test": "it is this",
    "make replay": "tests/e2e/system replays the trace it names",
    "export KEY": "the tests' own",
    "grpcurl": "no test has grpcurl: what it sends is tried above, the call by tests/integration/gateway",
    "python3 deploy/make_env.py": "no Docker: tests/unit/deploy",
    "kubectl create secret": "no cluster: tests/integration/deploy",
    "pg_dumpall": "tests/fault restores a dump",
    "psql": "the same",
    "npm init": "needs what others publish: run by hand, dated",
    "go mod init": "the same",
    "python -m deploy.timescale.tenant_roles": "tests/integration/isolation",
    "SPENDSTREAM_TEST_TIMESCALE_DSN": "the suite itself",
    "from openai import": "needs a vendor's key: tests/integration/sdk runs the example",
    "meter.record(client": "pieces: tests/unit/sdk runs them on the vendors' libraries",
    "answer = client": "the same",
    "stream = client": "the same",
}


def test_every_block_that_can_run_is_run_or_it_is_said_what_holds_it_instead() -> None:
    found = {}
    for document in (*ALL, "services/sdk/README.md"):
        for block in re.findall(
            r"^ *```(?:sh|python)\n(.*?)^ *```$", (ROOT / document).read_text(), re.DOTALL | re.MULTILINE
        ):
            found[block.strip().splitlines()[0]] = document
    unexplained = [line for line in found if not line.startswith(tuple(NOT_RUN))]
    assert unexplained == [], [found[line] for line in unexplained]
    assert [begins for begins in NOT_RUN if not any(line.startswith(begins) for line in found)] == []


def test_the_programs_of_other_languages_are_ten_lines() -> None:
    text = (ROOT / "docs/other-languages.md").read_text()
    (typescript,) = re.findall(r"^```ts\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    (go,) = re.findall(r"^func main\(\) \{\n(.*?)^\}$", text, re.DOTALL | re.MULTILINE)
    assert [len(list(filter(None, program.splitlines()))) for program in (typescript, go)] == [10, 10]


@pytest.mark.parametrize("document", [*ALL, "services/sdk/README.md"])
def test_links_to_files_lead_somewhere(document: str) -> None:
    path = ROOT / document
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text())
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_the_index_leads_to_every_document() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    documents = (path.relative_to(ROOT / "docs").as_posix() for path in ROOT.glob("docs/**/*.md"))
    assert [name for name in documents if name != "README.md" and f"]({name})" not in index] == []
