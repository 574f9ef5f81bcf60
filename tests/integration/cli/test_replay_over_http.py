"""`spendstream replay` against doors that are away, busy or refuse. Against a running Spendstream: tests/e2e."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from services.cli.replay import replay

LINE = '{"occurred_at": "2026-10-01T00:00:00Z", "tenant_id": "t", "provider": "p", "model": "m", "prompt_tokens": 5}'


class System:
    """Both services on one port: counts what is accepted, by id, and answers as they do."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.rejects = False
        self.sent = 0
        self.event_ids: set[str] = set()
        system = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                events = json.loads(self.rfile.read(int(self.headers["content-length"])))
                status = system.statuses.pop(0) if system.statuses else 200
                if status != 200:
                    return self._answer(status, {"title": "busy"})
                if system.rejects:
                    rejected = [{"index": n, "event_id": "", "reason": "no"} for n in range(len(events))]
                    return self._answer(400, {"accepted": 0, "rejected": rejected})
                system.sent += len(events)
                system.event_ids |= {event["event_id"] for event in events}
                return self._answer(200, {"accepted": len(events), "rejected": []})

            def do_GET(self) -> None:
                self._answer(200, system.answer(self.path))

            def _answer(self, status: int, body: dict[str, Any]) -> None:
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path: str) -> dict[str, Any]:
        counted, duplicate = len(self.event_ids), self.sent - len(self.event_ids)
        if path.startswith("/api/v1/audit"):
            partition = {"counted": counted, "duplicate": duplicate, "dead_lettered": 0, "quarantined": 0}
            return {"data": {"ledger": [partition, dict.fromkeys(partition, 0)]}}
        totals = {"calls": counted, "prompt_tokens": 5 * counted, "completion_tokens": 0, "cost_usd": "0.5"}
        return {"data": [], "totals": totals, "data_through": datetime.now(UTC).isoformat(), "unpriced_events": counted}


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    made = System()
    monkeypatch.setenv("SPENDSTREAM_URL", made.url)
    monkeypatch.setenv("SPENDSTREAM_GATEWAY_URL", made.url)
    monkeypatch.setenv("SPENDSTREAM_ADMIN_KEY", "key")
    yield made
    made.server.shutdown()
    made.server.server_close()


def replayed(folder: Path, text: str, *arguments: str) -> Result:
    path = folder / "events.jsonl"
    path.write_text(text)
    return CliRunner().invoke(replay, [str(path), *arguments])


def test_a_file_is_sent_in_batches_and_counted_once_and_again_as_duplicates(system: System, tmp_path: Path) -> None:
    for counted, duplicates in (("2,500", "0"), ("0", "2,500")):
        result = replayed(tmp_path, f"{LINE}\n" * 2_500)
        assert result.exit_code == 0, result.stderr
        figures = dict(line.rsplit(maxsplit=1) for line in result.stdout.splitlines() if line.startswith("  counted"))
        assert figures == {"  counted": counted}
        assert f"duplicates         {duplicates:>14}" in result.stdout
    assert len(system.event_ids) == 2_500


def test_a_busy_gateway_is_tried_again(system: System, tmp_path: Path) -> None:
    system.statuses = [503, 429]
    assert replayed(tmp_path, LINE).exit_code == 0
    assert len(system.event_ids) == 1


def test_nothing_is_sent_of_a_file_with_one_bad_line(system: System, tmp_path: Path) -> None:
    result = replayed(tmp_path, f"{LINE}\n" * 1_500 + LINE.replace("5}", "-5}"))
    assert result.exit_code == 1
    assert "line 1501: prompt_tokens must not be negative" in result.stderr
    assert system.sent == 0


def test_what_the_door_rejects_is_said_with_its_reason_and_fails(system: System, tmp_path: Path) -> None:
    system.rejects = True
    result = replayed(tmp_path, LINE)
    assert result.exit_code == 1
    assert "1 events were rejected: no" in result.stderr


def test_a_key_that_is_refused_is_one_line(system: System, tmp_path: Path) -> None:
    system.statuses = [401]
    result = replayed(tmp_path, LINE)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "spendstream replay: the gateway refused: HTTP 401, busy"


def test_a_gateway_that_is_not_there_is_one_line(
    monkeypatch: pytest.MonkeyPatch, system: System, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("SPENDSTREAM_GATEWAY_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
    # Now: a time that will be counted, so that there is nothing else to say.
    result = replayed(tmp_path, LINE, "--shift-end", datetime.now(UTC).isoformat())
    assert result.exit_code == 1
    assert result.stderr.startswith("spendstream replay: the gateway at http://127.0.0.1:")
    assert result.stderr.count("\n") == 1


def test_a_system_named_by_half_is_not_guessed(monkeypatch: pytest.MonkeyPatch, system: System, tmp_path: Path) -> None:
    monkeypatch.delenv("SPENDSTREAM_ADMIN_KEY")
    result = replayed(tmp_path, LINE)
    assert (result.exit_code, "SPENDSTREAM_ADMIN_KEY isn't set" in result.stderr) == (1, True)
