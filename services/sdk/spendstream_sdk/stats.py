"""What became of recorded calls."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts of calls since the meter was made (in a forked child: since the fork).

    Attributes:
        queued: recorded and not settled yet, whether waiting or on its way.
        sent: accepted by Spendstream.
        rejected: refused by it, or refused here for the same reason before sending; sending again wouldn't help.
        dropped: never queued, because the queue was full or the meter closed.
        failed: given up: nobody took it for too long, the key isn't valid, or the time at exit ran out.
    """

    queued: int = 0
    sent: int = 0
    rejected: int = 0
    dropped: int = 0
    failed: int = 0
