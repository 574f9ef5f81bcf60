"""What carries a batch to Spendstream: the sender knows no more of it than this."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from spendstream_sdk.records import Event


@dataclass(frozen=True, slots=True)
class Delivered:
    """The batch was answered; `rejected` are the reasons of those that weren't accepted."""

    accepted: int
    rejected: tuple[str, ...] = ()


class TryAgain(Exception):
    """Nobody took the batch now; the same batch may pass later, not before `after_seconds` if that is given."""

    def __init__(self, reason: str, after_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.after_seconds = after_seconds


class TooLarge(Exception):
    """The batch has to be split."""


class GiveUp(Exception):
    """This batch won't be taken however often it is sent: a wrong key, a wrong address."""


class Transport(Protocol):
    """Used by one thread at a time."""

    def send(self, events: Sequence[Event]) -> Delivered:
        """Returns once the events are safe. Raises TryAgain, TooLarge, GiveUp."""

    def close(self) -> None:
        """Lets go of connections; the next `send` makes new ones."""

    def abandon(self) -> None:
        """Forgets connections without a word to the other side: after a fork they are the parent's."""
