"""The Spendstream to talk to: the one the environment names, the one running here, or one started for the while."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from services.cli.client import Address, Client, Unreachable
from services.cli.running import find_running
from services.runtime.embedded.home import default_home

# The first start may create the database and fetch the broker's jars.
_START_SECONDS_MAX = 600.0
_STOP_SECONDS_MAX = 60.0

Say = Callable[[str], None]


def address_from_environment(environment: Mapping[str, str]) -> Address | None:
    """The Spendstream named by SPENDSTREAM_URL, SPENDSTREAM_GATEWAY_URL and SPENDSTREAM_ADMIN_KEY, if any is.

    Raises Unreachable when only some of them are set: guessing the rest could reach another system.
    """
    names = ("SPENDSTREAM_URL", "SPENDSTREAM_GATEWAY_URL", "SPENDSTREAM_ADMIN_KEY")
    if not any(environment.get(name) for name in names[:2]):
        return None
    missing = [name for name in names if not environment.get(name)]
    if missing:
        raise Unreachable(f"{', '.join(missing)} isn't set, beside the others of {', '.join(names)}")
    query_url, gateway_url, admin_key = (environment[name] for name in names)
    return Address(query_url.rstrip("/"), gateway_url.rstrip("/"), admin_key)


def address_of_running() -> Address | None:
    """The one `spendstream up` runs on this machine's data folder, once it is ready; None when there is none."""
    running = find_running(default_home())
    if running is None:
        return None
    return Address(running.urls["query"], running.urls["gateway"], running.admin_key)


@contextmanager
def spendstream(say: Say) -> Iterator[Address]:
    """The address of a Spendstream that is ready; one started for this is stopped at the end, its data kept.

    Raises Unreachable.
    """
    address = address_from_environment(os.environ) or address_of_running()
    if address is not None:
        with Client(address) as client:
            client.require_ready()
        yield address
        return
    say("Spendstream isn't running here: starting it, without its demo.")
    process, log = _start()
    try:
        yield _wait_ready(process, log)
    finally:
        _stop(process)
        say("Stopped it again; its data is kept. `make run` starts it on the same data.")


def _start() -> tuple[subprocess.Popen[bytes], Path]:
    log = default_home() / "logs" / "up.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        output = log.open("ab")
    except OSError as error:
        raise Unreachable(f"can't start Spendstream: {log}: {error.strerror}") from error
    with output:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.cli.main", "up"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "SPENDSTREAM_DEMO": "0"},
            # Ctrl-C here must not reach it before the replay has ended: it is stopped in order.
            start_new_session=True,
        )
    return process, log


def _wait_ready(process: subprocess.Popen[bytes], log: Path) -> Address:
    deadline = time.monotonic() + _START_SECONDS_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Unreachable(f"Spendstream ended while starting (exit code {process.returncode}): {_last_line(log)}")
        address = address_of_running()
        if address is not None:
            try:
                with Client(address) as client:
                    client.require_ready()
                return address
            except Unreachable:
                pass
        time.sleep(0.2)
    raise Unreachable(f"Spendstream wasn't ready after {_START_SECONDS_MAX:.0f} s; see {log}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(_STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else f"see {log}"
