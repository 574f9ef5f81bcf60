from __future__ import annotations

from pathlib import Path

import pytest

from services.runtime.embedded.integrity import Part, PartState, diagnose

HOME = Path("/data/spendstream")
READY = {Part.KAFKA: PartState.READY, Part.POSTGRES: PartState.READY}
NOTHING: dict[Part, str | None] = {Part.KAFKA: None, Part.POSTGRES: None}


def test_an_empty_folder_is_fine() -> None:
    assert diagnose(NOTHING, [], HOME) is None


def test_a_whole_folder_is_fine() -> None:
    assert diagnose(READY, list(Part), HOME) is None


def test_a_part_whose_creation_was_interrupted_is_fine_wherever_it_came() -> None:
    recorded = {Part.KAFKA: PartState.READY, Part.POSTGRES: PartState.CREATING}
    assert diagnose(recorded, [Part.KAFKA], HOME) is None
    assert diagnose(recorded, list(Part), HOME) is None


@pytest.mark.parametrize("gone", list(Part))
def test_one_part_gone_is_said_with_its_folder_and_what_to_do(gone: Part) -> None:
    problem = diagnose(READY, [part for part in Part if part != gone], HOME)
    assert problem is not None
    assert str(HOME / gone) in problem
    assert f"rm -r {HOME}" in problem


def test_everything_gone_but_the_manifest_is_said() -> None:
    problem = diagnose(READY, [], HOME)
    assert problem is not None
    assert "manifest" in problem


@pytest.mark.parametrize("there", list(Part))
def test_a_part_that_the_manifest_does_not_know_is_not_taken_over(there: Part) -> None:
    assert str(HOME / there) in (diagnose(NOTHING, [there], HOME) or "")
