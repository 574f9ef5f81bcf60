"""The processor dies or sleeps at the worst moments; another one comes, or it wakes up again."""

from __future__ import annotations

import signal
import time

import psutil
import pytest

from tests.fault.system import System
from tests.integration.processor.running import wait_until

POINTS = ("before_copy", "in_copy", "after_copy", "after_commit")


def test_killed_ten_times_at_random_moments(system: System) -> None:
    processor = system.processor()
    system.send(system.messages(120_000))
    kills = 0
    with system.watched(), system.kept(processor):
        while kills < 10:
            system.wait_counted(min(system.counted() + system.draw.randrange(1, 9_000), system.books.calls))
            time.sleep(system.draw.random() / 4)
            processor.kill()
            kills += 1
            if system.counted() > system.books.calls - 20_000:
                system.send(system.messages(20_000))
        system.assert_exact()


@pytest.mark.in_test_run
def test_killed_before_in_and_after_copy_and_after_commit(system: System) -> None:
    processor = system.processor()
    system.send(system.messages(20_000))
    with system.watched():
        for point in POINTS:
            processor.start(FAULT=f"{point}:{system.draw.randrange(2, 5)}:KILL")
            assert processor.wait_ended() == -signal.SIGKILL, point
        with system.kept(processor):
            system.assert_exact()


@pytest.mark.in_test_run
def test_stopped_inside_copy_and_woken_after_its_successor_took_over(system: System) -> None:
    sleeper, successor = system.processor("sleeper"), system.processor("successor")
    system.send(system.messages(20_000))
    sleeper.start(FAULT="in_copy:6:STOP")
    _wait_stopped(sleeper.process.pid)
    with system.watched():
        successor.start()
        system.assert_exact()
        sleeper.process.send_signal(signal.SIGCONT)
        assert sleeper.wait_ended(30) == 70, "it was thought dead and must not go on"
        system.assert_exact()


def test_stopped_at_random_past_its_session_and_woken(system: System) -> None:
    one, two = system.processor("one"), system.processor("two")
    with system.watched(), system.kept(one), system.kept(two):
        for _ in range(2):
            system.send(system.messages(30_000))
            time.sleep(1 + system.draw.random() * 2)
            sleeper = system.draw.choice([one, two])
            if sleeper.running():
                sleeper.process.send_signal(signal.SIGSTOP)
                time.sleep(8)
                sleeper.process.send_signal(signal.SIGCONT)
            system.wait_counted(system.books.calls, 90)
        system.assert_exact()


def test_two_workers_joining_and_leaving(system: System) -> None:
    workers = [system.processor("one"), system.processor("two")]
    workers[0].start()
    with system.watched():
        for _ in range(5):
            system.send(system.messages(15_000))
            time.sleep(system.draw.random() * 2)
            worker = system.draw.choice(workers)
            if not worker.running():
                worker.start()
            elif system.draw.random() < 0.5:
                worker.stop()
            else:
                worker.kill()
        for worker in workers:
            if not worker.running():
                worker.start()
        system.assert_exact()


def _wait_stopped(pid: int) -> None:
    process = psutil.Process(pid)
    wait_until(lambda: process.status() == psutil.STATUS_STOPPED, "it stops itself", 60)
