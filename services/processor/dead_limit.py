"""When so much is bad that the fault must be elsewhere: a worker stops instead of burying everything. Pure."""

from __future__ import annotations

from collections import deque

WINDOW_EVENTS = 5_000
SHARE_MAX = 0.95


class DeadLimit:
    """Watches the share of events that can't be counted over the last `window_events` and the flushes they came in.

    Conflicts do not belong here: a tenant can cause them through a door, and must not be able to stop the others.
    """

    def __init__(self, window_events: int = WINDOW_EVENTS, share_max: float = SHARE_MAX) -> None:
        self._window_events = window_events
        self._share_max = share_max
        self._flushes: deque[tuple[int, int]] = deque()
        self._events = 0
        self._dead = 0
        # Dead events an operator has said to bury; they are not held against the stream.
        self.allowance_events = 0

    def note(self, events: int, dead: int) -> str:
        """Enters a flush of `events` in all, `dead` of them bad; why to stop before burying them, or ""."""
        forgiven = min(dead, self.allowance_events)
        self.allowance_events -= forgiven
        self._add(events - forgiven, dead - forgiven)
        if self._events < self._window_events or self._dead <= self._share_max * self._events:
            return ""
        return (
            f"{self._dead} of the last {self._events} events can't be counted; that is more than "
            f"{self._share_max:.0%}, so the fault is probably not in them. Nothing of this flush "
            "is buried. When it is mended: spendstream dlq resume"
        )

    def _add(self, events: int, dead: int) -> None:
        self._flushes.append((events, dead))
        self._events += events
        self._dead += dead
        while self._events - self._flushes[0][0] >= self._window_events:
            old_events, old_dead = self._flushes.popleft()
            self._events -= old_events
            self._dead -= old_dead
