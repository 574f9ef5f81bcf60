"""Runs child processes: waits until they are ready, starts them again when they crash, stops them in order."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from services.runtime.children import Process, ask_to_stop, kill, wait_or_kill
from services.runtime.log_tail import LogTail
from services.runtime.supervision import CrashRecord, Stage, stop_order

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_POLL_SECONDS = 0.1
_START_CRASHES_MAX = 3
_CRASH_LINES = 15


class ChildFailed(Exception):
    """A child didn't become ready at the start; the message ends with what it said."""


@dataclass(frozen=True, slots=True)
class Child:
    """How to run one child. `start` spawns it; `is_ready` asks it, None when it is ready by running.

    A child that `may_end` is done when it exits with 0; any other exit is a crash.
    """

    name: str
    stage: Stage
    start: Callable[[], Process]
    log: Path
    is_ready: Callable[[], bool] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    grace_seconds: float = 10.0
    may_end: bool = False


@dataclass(slots=True)
class _Running:
    child: Child
    process: Process
    started_at: float
    tail: LogTail
    crashes: CrashRecord = field(default_factory=CrashRecord)
    restart_at: float | None = None
    done: bool = False


class Supervisor:
    """Not thread-safe; everything happens in the calling thread, which has to be the main one (see `spawn`)."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._running: dict[str, _Running] = {}

    def add(self, child: Child, process: Process | None = None) -> None:
        """Start a child, or take over one that runs already."""
        tail = LogTail(child.name, child.log)
        running = process if process is not None else child.start()
        self._running[child.name] = _Running(child, running, time.monotonic(), tail)

    def wait_ready(self, timeout_seconds: float) -> None:
        """Return when every child is ready; meanwhile crashed ones are started again, a few times.

        Warnings aren't shown until then: services that wait for each other complain, and nothing is wrong.

        Raises:
            ChildFailed: one keeps crashing, or the time is over.
        """
        deadline = time.monotonic() + timeout_seconds
        waiting = [running for running in self._running.values() if running.child.is_ready is not None]
        while waiting:
            self.look_after(show_warnings=False)
            for running in waiting:
                if running.crashes.crashes_in_a_row >= _START_CRASHES_MAX:
                    raise ChildFailed(f"{running.child.name} doesn't start:\n{_last_lines(running.child.log)}")
                if time.monotonic() > deadline:
                    raise ChildFailed(
                        f"{running.child.name} wasn't ready within {timeout_seconds:.0f} s. "
                        f"Its log is {running.child.log}\n{_last_lines(running.child.log)}"
                    )
            waiting = [each for each in waiting if each.restart_at is not None or not _answers(each.child)]
            time.sleep(_POLL_SECONDS)

    def run(self) -> None:
        """Look after the children until an exception (a signal's) ends it."""
        while True:
            self.look_after()
            time.sleep(_POLL_SECONDS)

    def look_after(self, *, show_warnings: bool = True) -> None:
        """Show warnings, notice crashes, start again what is due."""
        for running in self._running.values():
            for line in running.tail.poll():
                if show_warnings:
                    self._say(line)
            if running.done:
                continue
            if running.restart_at is not None:
                self._restart_if_due(running)
            elif running.process.poll() is not None:
                self._note_exit(running)

    def stop(self) -> None:
        """Stop everything in order; what doesn't end in its time is killed."""
        for names in stop_order((name, running.child.stage) for name, running in self._running.items()):
            group = [self._running[name] for name in names]
            for running in group:
                ask_to_stop(running.process, running.child.stop_signal)
            for running in group:
                child = running.child
                if not wait_or_kill(running.process, child.grace_seconds):
                    self._say(f"{child.name} didn't stop within {child.grace_seconds:.0f} s and was killed.")
        self._running.clear()

    def kill(self) -> None:
        """End everything at once."""
        for running in self._running.values():
            kill(running.process)

    def _note_exit(self, running: _Running) -> None:
        child, code = running.child, running.process.returncode
        if code == 0 and child.may_end:
            running.done = True
            return
        running.crashes = running.crashes.after_crash(time.monotonic() - running.started_at)
        delay = running.crashes.restart_after_seconds
        running.restart_at = time.monotonic() + delay
        self._say(f"{child.name} {describe_exit(code)}; starting it again in {delay:g} s. Its log is {child.log}")

    def _restart_if_due(self, running: _Running) -> None:
        assert running.restart_at is not None, "only called for a crashed child"
        if time.monotonic() < running.restart_at:
            return
        running.process = running.child.start()
        running.started_at = time.monotonic()
        running.restart_at = None


def describe_exit(code: int) -> str:
    """How a process ended, from its return code (negative: the signal that ended it)."""
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _answers(child: Child) -> bool:
    return child.is_ready is None or child.is_ready()


def _last_lines(log: Path) -> str:
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-_CRASH_LINES:])
