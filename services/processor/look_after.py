"""Looks after the worker from beside it: a stream that stands still is said, and ends the process."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from services.contracts.errors import Crash
from services.processor.gaps import FirstReadable
from services.processor.metrics import STILL_SECONDS
from services.processor.progress import Progress
from services.processor.stuck import Watchdog

log = structlog.get_logger()


class LookAfter:
    """One round per `report`. Raises what `Progress.report` raises, and Crash for a stream that is stuck."""

    def __init__(
        self,
        progress: Progress,
        watchdog: Watchdog,
        first_readable: FirstReadable,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._progress = progress
        self._watchdog = watchdog
        self._first_readable = first_readable
        self._clock = clock
        self._measured: frozenset[int] = frozenset()

    def report(self) -> None:
        # A group may have left this worker without a partition because of a broker that was just starting. If another
        # one works, there is progress; if nobody does, joining again is all that helps.
        positions = self._progress.report() or self._progress.everywhere()
        still = self._watchdog.look(self._clock(), positions)
        for partition, seconds in still.items():
            STILL_SECONDS.labels(str(partition)).set(seconds)
        for partition in self._measured - still.keys():
            STILL_SECONDS.remove(str(partition))
        self._measured = frozenset(still)
        for partition in self._watchdog.stuck(still):
            at = positions[partition]
            # The end of a log may be offsets without messages (marks of transactions): then there is nothing to read.
            if self._first_readable(partition, at.next_offset) < at.end_offset:
                raise Crash(
                    f"partition {partition} stands still at {at.next_offset} for {still[partition]:.0f} s, "
                    f"{at.end_offset - at.next_offset} messages behind: starting again"
                )
