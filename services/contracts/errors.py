"""An error's type is the message's fate."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why an event was not counted; in dead letters, metrics and the audit."""

    UNDECODABLE = "undecodable"
    INVALID = "invalid"
    CONFLICT = "conflict"
    OUTSIDE_WINDOW = "outside_window"
    OVERFLOW = "overflow"


class Reject(Exception):
    """This event is bad whenever it is tried: dead-letter it with `reason`, go on with its neighbours."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Retry(Exception):
    """Something outside is not there now: try the same again in place, with back-off; nothing is acked or skipped."""


class Crash(Exception):
    """Going on would risk the numbers: the process exits and is started again from what is committed."""
