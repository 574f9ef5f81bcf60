"""Decides whether the parts of a data folder belong together. Pure: it is told what was found."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path


class Part(StrEnum):
    """A part of the data folder; the value is the name of its folder."""

    KAFKA = "kafka"
    POSTGRES = "postgres"


class PartState(StrEnum):
    """How far the creation of a part came."""

    CREATING = "creating"
    READY = "ready"


_HOLDS = {Part.KAFKA: "the broker's log of events", Part.POSTGRES: "the database"}


def diagnose(recorded: Mapping[Part, str | None], present: Collection[Part], home: Path) -> str | None:
    """What is wrong with the folder and what to do, or None.

    The database remembers how far it has read the broker's log, so neither is of use without the other: going on
    with one of them new would lose events or count them twice.
    """
    gone = [part for part in Part if recorded[part] == PartState.READY and part not in present]
    unknown = [part for part in Part if recorded[part] is None and part in present]
    if gone and len(gone) == sum(state == PartState.READY for state in recorded.values()):
        return f"Both {_names(gone, home)} are gone from {home}, but its manifest is there. {_advice(home)}"
    if gone:
        return f"{_names(gone, home)} is gone, but the rest of {home} is there. They belong together. {_advice(home)}"
    if unknown:
        return f"{_names(unknown, home)} is there, but the manifest of {home} doesn't know it. {_advice(home)}"
    return None


def _names(parts: Collection[Part], home: Path) -> str:
    return " and ".join(f"{_HOLDS[part]} ({home / part})" for part in parts)


def _advice(home: Path) -> str:
    return f"Restore the whole folder from a backup, or start over without its data: rm -r {home}"
