"""A known vulnerability fails the check; a database that can't be reached is said and passes."""

from __future__ import annotations

import json
import sys

from deploy.audit_packages import Audit, audit

CLEAN: dict[str, object] = {"name": "a", "version": "1", "vulns": []}
VULNERABLE: dict[str, object] = {
    "name": "b",
    "version": "2",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"], "aliases": []}, {"id": "PYSEC-2", "fix_versions": []}],
}
SKIPPED: dict[str, object] = {"name": "c", "skip_reason": "not found"}


def printing(text: str, error: str = "", code: int = 0) -> list[str]:
    """A command that prints this, as pip-audit would."""
    program = f"import sys; print({text!r}); print({error!r}, file=sys.stderr); sys.exit({code})"
    return [sys.executable, "-c", program]


def report(*packages: dict[str, object]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_each_vulnerability_is_a_finding_with_the_version_that_mends_it() -> None:
    found = audit(printing(report(CLEAN, VULNERABLE), code=1))
    assert found == Audit(2, ("b 2: PYSEC-1, mended in 3", "b 2: PYSEC-2"))


def test_packages_that_were_not_looked_up_are_said() -> None:
    found = audit(printing(report(CLEAN, SKIPPED)))
    assert found == Audit(1, (), "1 of 2 packages, the first: not found")


def test_a_finding_counts_beside_packages_that_were_not_looked_up() -> None:
    assert len(audit(printing(report(VULNERABLE, SKIPPED), code=1)).findings) == 2


def test_a_database_that_can_not_be_reached_is_said_in_a_line() -> None:
    assert audit(printing("", "Traceback\nConnectionError: no route", 1)).not_audited == "ConnectionError: no route"
    assert audit(["/nowhere/pip-audit"]).not_audited == "pip-audit isn't installed"


def test_an_answer_that_does_not_come_is_not_waited_for() -> None:
    sleeping = [sys.executable, "-c", "import time; time.sleep(60)"]
    assert audit(sleeping, seconds_max=0.2).not_audited == "no answer within 0.2 s"
