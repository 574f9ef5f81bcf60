"""The processor with one fault built in: `python -m tests.fault.processor_with_faults`.

SPENDSTREAM_FAULT is `point:nth:what`. Points: before_copy, in_copy (half of it sent), after_copy (all written, not
committed), after_commit (not acknowledged). What: KILL and STOP are signals to itself; PAUSE waits while the file
SPENDSTREAM_FAULT_FILE exists, which it creates. The product knows nothing of this.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

from services.processor.main import run
from services.processor.prepare import Flush
from services.processor.settings import ProcessorSettings
from services.processor.store import Applied, Store
from services.runtime.logs import configure_logging


class Fault:
    """Strikes the nth time its point is reached, once."""

    def __init__(self, point: str, nth: int, what: str) -> None:
        self.point = point
        self._left = nth
        self._what = what

    def reached(self, point: str) -> bool:
        """Whether this is the time."""
        if point == self.point:
            self._left -= 1
        return point == self.point and self._left == 0

    def strike(self) -> None:
        if self._what == "PAUSE":
            marker = Path(os.environ["SPENDSTREAM_FAULT_FILE"])
            marker.touch()
            while marker.exists():
                time.sleep(0.05)
        else:
            os.kill(os.getpid(), signal.Signals[f"SIG{self._what}"])


def build_store(fault: Fault) -> type[Store]:
    """A store in which the fault happens."""

    class FaultyStore(Store):
        def _identify(self, connection: psycopg.Connection, flush: Flush) -> Any:  # noqa: ANN401
            if fault.reached("before_copy"):
                fault.strike()
            return super()._identify(connection, flush)

        def _advance(self, *arguments: Any) -> None:  # noqa: ANN401
            if fault.reached("after_copy"):
                fault.strike()
            super()._advance(*arguments)

        def apply(self, flush: Flush) -> Applied:
            applied = super().apply(flush)
            if fault.reached("after_commit"):
                fault.strike()
            return applied

    return FaultyStore


def break_copies(fault: Fault) -> None:
    """Half of the nth COPY is sent when the fault strikes."""
    write: Callable[[psycopg.Copy, bytes], None] = psycopg.Copy.write

    def write_broken(copy: psycopg.Copy, data: bytes) -> None:
        if not fault.reached("in_copy"):
            write(copy, data)
            return
        half = len(data) // 2
        write(copy, data[:half])
        fault.strike()
        write(copy, data[half:])

    psycopg.Copy.write = write_broken  # type: ignore[method-assign, assignment]


def main() -> None:
    configure_logging("processor")
    point, nth, what = os.environ.get("SPENDSTREAM_FAULT", "none:0:KILL").split(":")
    fault = Fault(point, int(nth), what)
    if point == "in_copy":
        break_copies(fault)
    asyncio.run(run(ProcessorSettings(), build_store(fault)))


if __name__ == "__main__":
    main()
