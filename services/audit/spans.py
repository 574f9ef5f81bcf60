"""Which days an audit looks at, span after span, where it has not the time for all at once. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

_DAY: Final = timedelta(days=1)
_WIDTH_MAX: Final = 32 * _DAY
# What is quicker makes the next span twice as wide, what is slower half.
_SECONDS_LOW: Final = 1.5
_SECONDS_HIGH: Final = 6.0


@dataclass(frozen=True, slots=True)
class Span:
    """[start, end), on UTC midnights."""

    start: datetime
    end: datetime

    def __str__(self) -> str:
        """Its first and its last day."""
        return f"{self.start:%Y-%m-%d} to {self.end - _DAY:%Y-%m-%d}"


class Round:
    """Once round what is kept: the newest days in one span, then on from where the last audit left off, backwards to
    the first day, and at last what lies in between. Call `next_span`, then `done`."""

    def __init__(
        self,
        whole: Span,
        first: datetime | None = None,
        newest: datetime | None = None,
        left_off: datetime | None = None,
    ) -> None:
        """`first`: the first day that has anything, `newest`: the first of the newest days; without them `whole` is one
        span."""
        self._first = first or whole.start
        self._width = _DAY
        self._left_off = left_off
        self._begun = False
        self._legs = [whole]
        if newest is not None and max(whole.start, self._first) < newest < whole.end:
            self._legs = [Span(newest, whole.end), *_older(Span(whole.start, newest), self._first, left_off)]

    def next_span(self) -> Span | None:
        """The span to look at now; None when the round is complete."""
        if not self._legs:
            return None
        leg = self._legs[0]
        start = max(leg.end - self._width, leg.start) if self._begun else leg.start
        # What lies before the first day, if anything does, comes with it.
        return Span(start if start > self._first else leg.start, leg.end)

    def done(self, seconds: float) -> None:
        """`next_span` is looked at, and took so long."""
        span = self.next_span()
        if span is None:
            return
        if self._begun:
            self._width = _next_width(self._width, seconds)
        self._begun = True
        leg = self._legs.pop(0)
        if leg.start < span.start:
            self._legs.insert(0, Span(leg.start, span.start))

    def left(self) -> Iterator[Span]:
        """What was not looked at, in the order it would have been; from the first day on."""
        for leg in self._legs:
            start = max(leg.start, self._first)
            if start < leg.end:
                yield Span(start, leg.end)

    def left_off(self) -> datetime | None:
        """Where the next audit goes on; None when this one came round."""
        if not self._begun:
            return self._left_off
        return self._legs[0].end if self._legs else None


def _older(older: Span, first: datetime, left_off: datetime | None) -> list[Span]:
    if left_off is None or not max(older.start, first) < left_off < older.end:
        return [older]
    return [Span(older.start, left_off), Span(left_off, older.end)]


def _next_width(width: timedelta, seconds: float) -> timedelta:
    if seconds < _SECONDS_LOW:
        return min(width * 2, _WIDTH_MAX)
    if seconds > _SECONDS_HIGH:
        return max(width // 2 // _DAY * _DAY, _DAY)
    return width
