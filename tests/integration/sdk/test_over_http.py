"""The SDK against a door on a real socket: what networks and processes do to it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from spendstream_sdk import Meter, Stats
from spendstream_sdk.sender import Limits

from tests.integration.sdk.conftest import Door

QUICK = Limits(linger_seconds=0.01, exit_seconds=2)
SDK = Path(__file__).resolve().parents[3] / "services" / "sdk"


def record(meter: Meter) -> None:
    meter.record(provider="openai", model="gpt-4o", prompt_tokens=10, completion_tokens=1)


def test_a_busy_door_gets_the_same_batch_until_it_takes_it(door: Door) -> None:
    door.statuses = [503, 429, 500]
    with Meter(door.url, "key", "t", limits=QUICK) as meter:
        record(meter)
        assert meter.flush(10)
        assert meter.stats() == Stats(sent=1)
    assert door.requests == [door.requests[0]] * 4


def test_a_connection_lost_before_the_answer_is_made_anew_and_the_batch_sent_again(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    with Meter(door.url, "key", "t", limits=QUICK) as meter:
        record(meter)
        assert meter.flush(10)
        door.hang_up = True
        record(meter)
        assert meter.flush(10)
        assert meter.stats() == Stats(sent=2)
    assert len(set(door.event_ids)) == 2
    assert caplog.messages == [], "doors close idle connections: that is nothing to warn of"


def test_one_connection_is_kept_for_many_batches(door: Door) -> None:
    with Meter(door.url, "key", "t", limits=QUICK) as meter:
        for _ in range(5):
            record(meter)
            assert meter.flush(10)
    assert (len(door.requests), door.connections) == (5, 1)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_is_not_tried_again_and_does_not_reach_the_caller(door: Door, status: int) -> None:
    door.statuses = [status]
    with Meter(door.url, "key", "t", limits=QUICK) as meter:
        record(meter)
        assert meter.flush(10)
        assert meter.stats() == Stats(failed=1)


def test_with_nobody_there_the_caller_notices_nothing_and_what_waited_is_sent_once_somebody_is() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    with Meter(f"http://127.0.0.1:{port}", "key", "t", limits=QUICK) as meter:
        started = time.monotonic()
        for _ in range(1_000):
            record(meter)
        assert time.monotonic() - started < 1
        assert not meter.flush(0.3)
        assert meter.stats() == Stats(queued=1_000)
        late = Door(port)
        assert meter.flush(10)
        assert meter.stats() == Stats(sent=1_000)
    late.close()
    assert len(set(late.event_ids)) == 1_000


def test_a_program_that_just_ends_has_sent_what_it_recorded(door: Door) -> None:
    program = (
        "from spendstream_sdk import Meter\n"
        f"meter = Meter({door.url!r}, 'key', 't')\n"
        "for _ in range(700):\n    meter.record(provider='p', model='m', prompt_tokens=1)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "PYTHONPATH": str(SDK)}, timeout=30)
    assert len(set(door.event_ids)) == 700


def test_a_program_ends_in_time_when_nobody_is_there() -> None:
    program = (
        "from spendstream_sdk import Meter\n"
        "from spendstream_sdk.sender import Limits\n"
        "meter = Meter('http://127.0.0.1:9', 'key', 't', limits=Limits(exit_seconds=0.5))\n"
        "meter.record(provider='p', model='m', prompt_tokens=1)\n"
    )
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "PYTHONPATH": str(SDK)}, timeout=30)
    assert time.monotonic() - started < 10


def test_a_forked_child_sends_its_own_calls_and_its_parent_its_own_each_once(door: Door) -> None:
    program = (
        "import os\n"
        "from spendstream_sdk import Meter\n"
        f"meter = Meter({door.url!r}, 'key', 't')\n"
        "def record(n):\n"
        "    for _ in range(n):\n        meter.record(provider='p', model='m', prompt_tokens=1)\n"
        "record(10)\nmeter.flush()\nrecord(5)\n"
        "child = os.fork()\n"
        "record(3)\n"
        "if child == 0:\n"
        "    assert meter.stats().queued == 3\n"
        "    assert meter.flush(10)\n"
        "    os._exit(0 if meter.stats().sent == 3 else 1)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0\n"
        "assert meter.flush(10)\n"
        "assert meter.stats().sent == 18\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "PYTHONPATH": str(SDK)}, timeout=30)
    assert (len(door.event_ids), len(set(door.event_ids))) == (21, 21)


def test_the_example_of_a_real_call_sends_what_openais_library_returned(door: Door) -> None:
    answer = {
        "id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini", "service_tier": "default",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello there."}}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 6, "total_tokens": 26},
    }  # fmt: skip

    class Vendor(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Says nothing."""

    vendor = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
    threading.Thread(target=vendor.serve_forever, daemon=True).start()
    keys = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": f"http://127.0.0.1:{vendor.server_address[1]}"}
    meter = {"SPENDSTREAM_KEY": "key", "SPENDSTREAM_GATEWAY_URL": door.url, "PYTHONPATH": str(SDK)}
    try:
        command = [sys.executable, str(SDK / "examples" / "openai_call.py")]
        done = subprocess.run(command, env={**os.environ, **keys, **meter}, capture_output=True, text=True, timeout=60)
    finally:
        vendor.shutdown()
        vendor.server_close()
    assert (done.returncode, done.stdout) == (
        0, "Hello there.\nStats(queued=0, sent=1, rejected=0, dropped=0, failed=0)\n"
    ), done.stderr  # fmt: skip
    assert len(door.event_ids) == 1
