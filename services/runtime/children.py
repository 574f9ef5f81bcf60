"""Child processes: each in its own process group, none outliving its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LAUNCHER = Path(__file__).with_name("launch.py")

Process = subprocess.Popen[bytes]


@dataclass(frozen=True, slots=True)
class User:
    """The numeric identity a child runs as."""

    uid: int
    gid: int


def spawn(
    command: Sequence[str],
    *,
    output: IO[bytes] | int,
    death_signal: signal.Signals = signal.SIGKILL,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    user: User | None = None,
    kept_descriptors: Sequence[int] = (),
) -> Process:
    """Start `command` (an absolute path first) with stdout and stderr going to `output`.

    The kernel sends it `death_signal` when the *thread* that called this ends, so call it from one that lives as
    long as the child should, the main thread.
    """
    who = ("-", "-") if user is None else (str(user.uid), str(user.gid))
    launcher = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), str(int(death_signal)), *who]
    return subprocess.Popen(
        [*launcher, *command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=None if environment is None else dict(environment),
        cwd=folder,
        process_group=0,
        pass_fds=tuple(kept_descriptors),
    )


def stop(process: Process, *, stop_signal: signal.Signals = signal.SIGTERM, grace_seconds: float = 10.0) -> bool:
    """Ask a child to end, then kill its whole group. Returns whether it ended by itself."""
    ask_to_stop(process, stop_signal)
    return wait_or_kill(process, grace_seconds)


def ask_to_stop(process: Process, stop_signal: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(stop_signal)


def wait_or_kill(process: Process, grace_seconds: float) -> bool:
    """Wait for a child to end, then kill its whole group. Returns whether it ended by itself."""
    try:
        process.wait(grace_seconds)
    except subprocess.TimeoutExpired:
        kill(process)
        return False
    return True


def kill(process: Process) -> None:
    """End a child and everything in its process group at once."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def is_alive(pid: int) -> bool:
    """Whether a process of this id runs; one that has ended but nobody has waited for (a zombie) doesn't."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    # The program's name stands in parentheses and may hold any character; the state is the field after it (proc(5)).
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")
