"""Every line of a service's log is JSON, whoever writes it, and none has a secret."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import os, sys, threading, time, structlog
from confluent_kafka import Consumer
from services.runtime.logs import configure_logging

configure_logging("gateway")
structlog.get_logger("ours").info("said", password="secret-1")
os.write(2, b"%4|1795755884.6|REQTMOUT| past Python, password=secret-2\\nhalf a li")
os.write(2, b"ne\\n")
# What librdkafka itself has to say goes there too.
Consumer({"bootstrap.servers": "127.0.0.1:1", "group.id": "g", "compression.type": "gzip"})
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
time.sleep(0.3)
raise ValueError("the end")
"""


def test_what_libraries_write_past_python_and_what_nobody_catches_are_lines_like_all_others() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert {line["service"] for line in lines} == {"gateway"}
    assert all({"event", "level", "logger", "timestamp"} <= line.keys() for line in lines)
    assert "secret" not in done.stderr
    said = [line["event"] for line in lines]
    assert said[0] == "said"
    assert "%4|1795755884.6|REQTMOUT| past Python, password=***" in said
    assert "half a line" in said
    assert any("CONFWARN" in event for event in said), said
    assert [line["error"] for line in lines if line["event"] == "uncaught"] == [
        "ZeroDivisionError: division by zero", "ValueError: the end",
    ]  # fmt: skip


def test_a_library_that_writes_without_end_waits_for_nobody() -> None:
    program = (
        "import os\nfrom services.runtime.logs import configure_logging\nconfigure_logging('gateway')\n"
        "for _ in range(3_000):\n    try:\n        os.write(2, b'x' * 99 + b'\\n')\n"
        "    except BlockingIOError:\n        pass\nprint('done')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert all(json.loads(line)["event"] for line in done.stderr.splitlines())
