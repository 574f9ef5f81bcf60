"""The supervisor on real processes: small Python programs in place of services."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from services.runtime.children import Process, spawn
from services.runtime.embedded.ports import any_free_port
from services.runtime.readiness import answers_ok
from services.runtime.supervision import Stage
from services.runtime.supervisor import Child, ChildFailed, Supervisor
from tests.processes import wait_until_ended

SLEEPS = "import time; time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(600)"
)
CRASHES = "raise SystemExit('the disk is full')"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(said: list[str]) -> Iterator[Supervisor]:
    supervisor = Supervisor(said.append)
    yield supervisor
    supervisor.kill()


def _start(log: Path, *arguments: str) -> Process:
    with log.open("ab") as output:
        return spawn([sys.executable, *arguments], output=output)


def _child(tmp_path: Path, name: str, code: str, **settings: object) -> Child:
    log = tmp_path / f"{name}.log"
    fields = {"stage": Stage.DOORS, "grace_seconds": 5.0, **settings}
    return Child(name=name, log=log, start=partial(_start, log, "-c", code), **fields)  # type: ignore[arg-type]


def _until(condition: Callable[[], bool], look: Callable[[], None] = lambda: None) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, "it didn't happen in time"
        look()
        time.sleep(0.02)


def test_a_crashed_child_is_started_again(tmp_path: Path, supervisor: Supervisor, said: list[str]) -> None:
    runs = tmp_path / "runs"
    code = f"open({str(runs)!r}, 'a').write('x'); {SLEEPS}"
    child = _child(tmp_path, "worker", code)
    process = child.start()
    supervisor.add(child, process)
    _until(lambda: runs.exists() and runs.read_text() == "x")
    process.kill()
    _until(lambda: runs.read_text() == "xx", supervisor.look_after)
    assert "worker was ended by SIGKILL" in said[0]


def test_a_child_that_may_end_is_left_alone_when_it_has_ended(
    tmp_path: Path, supervisor: Supervisor, said: list[str]
) -> None:
    child = _child(tmp_path, "demo", "pass", may_end=True)
    process = child.start()
    supervisor.add(child, process)
    process.wait(10)
    supervisor.look_after()
    supervisor.look_after()
    assert said == []


def test_waiting_ends_when_the_child_answers(tmp_path: Path, supervisor: Supervisor) -> None:
    port = any_free_port()
    log = tmp_path / "web.log"
    arguments = ["-m", "http.server", "--bind", "127.0.0.1", "--directory", str(tmp_path), str(port)]
    start = partial(_start, log, *arguments)
    supervisor.add(Child("web", Stage.QUERY, start, log, is_ready=lambda: answers_ok(port, "/")))
    supervisor.wait_ready(timeout_seconds=15)
    assert answers_ok(port, "/")


def test_a_child_that_keeps_crashing_is_given_up_with_its_last_words(tmp_path: Path, supervisor: Supervisor) -> None:
    supervisor.add(_child(tmp_path, "processor", CRASHES, is_ready=lambda: False))
    with pytest.raises(ChildFailed, match="processor doesn't start") as failure:
        supervisor.wait_ready(timeout_seconds=30)
    assert "the disk is full" in str(failure.value)


def test_a_child_that_is_never_ready_is_named(tmp_path: Path, supervisor: Supervisor) -> None:
    supervisor.add(_child(tmp_path, "query", SLEEPS, is_ready=lambda: False))
    with pytest.raises(ChildFailed, match="query wasn't ready within 1 s"):
        supervisor.wait_ready(timeout_seconds=1)


def test_children_stop_in_order(tmp_path: Path, supervisor: Supervisor) -> None:
    order = tmp_path / "order"
    code = (
        "import signal, sys, time\n"
        "def stop(*_):\n open({path!r}, 'a').write({name!r} + ' '); sys.exit()\n"
        "signal.signal(signal.SIGTERM, stop); open({path!r} + {name!r}, 'w'); time.sleep(600)"
    )
    for name, stage in (("database", Stage.DATABASE), ("doors", Stage.DOORS), ("processor", Stage.PROCESSOR)):
        supervisor.add(_child(tmp_path, name, code.format(path=str(order), name=name), stage=stage))
        _until(Path(str(order) + name).exists)
    supervisor.stop()
    assert order.read_text().split() == ["doors", "processor", "database"]


def test_a_child_that_ignores_the_signal_is_killed(tmp_path: Path, supervisor: Supervisor, said: list[str]) -> None:
    child = _child(tmp_path, "stubborn", STUBBORN, grace_seconds=0.3)
    process = child.start()
    supervisor.add(child, process)
    _until(lambda: b"on" in child.log.read_bytes())
    supervisor.stop()
    assert process.returncode == -signal.SIGKILL
    assert "stubborn" in said[0]


def test_children_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from services.runtime.children import spawn\n"
        f"print(spawn([sys.executable, '-c', {SLEEPS!r}], output=2).pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        assert child.is_running()
        parent.kill()
    wait_until_ended([child], 10)
