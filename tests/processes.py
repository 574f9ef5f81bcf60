"""Whether processes of a test have ended."""

from __future__ import annotations

import time

import psutil


def has_ended(process: psutil.Process) -> bool:
    """Whether it runs no more: an orphan that nobody has waited for yet (a zombie) has ended too.

    How soon orphans are waited for is the machine's first process's affair: in a container, that can be never.
    """
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until_ended(processes: list[psutil.Process], seconds_max: float) -> None:
    deadline = time.monotonic() + seconds_max
    while running := [process for process in processes if not has_ended(process)]:
        assert time.monotonic() < deadline, f"still running after {seconds_max} s: {running}"
        time.sleep(0.05)
