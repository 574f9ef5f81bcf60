"""Looks up the locked packages in the OSV database of known vulnerabilities: `python -m deploy.audit_packages`.

Exit code 1 with what is found. A database that can't be reached is no finding: then it says NOT AUDITED and passes, so
that `make check` works offline.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# It has all that run.txt has.
LOCK = Path(__file__).parent / "requirements" / "dev.txt"
_SECONDS_MAX = 30
_REQUEST_SECONDS_MAX = 5


@dataclass(frozen=True, slots=True)
class Audit:
    """What came of it: findings, a line each, and why packages were not looked up, "" where all were."""

    looked_up: int
    findings: tuple[str, ...]
    not_audited: str = ""


def audit(command: Sequence[str], seconds_max: float = _SECONDS_MAX) -> Audit:
    """Runs pip-audit, which prints JSON."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds_max)
    except subprocess.TimeoutExpired:
        return Audit(0, (), f"no answer within {seconds_max:g} s")
    except FileNotFoundError:
        return Audit(0, (), "pip-audit isn't installed")
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        lines = done.stderr.strip().splitlines()
        return Audit(0, (), lines[-1][:300] if lines else f"pip-audit ended with {done.returncode}")
    return read_report(report)


def read_report(report: dict[str, Any]) -> Audit:
    """pip-audit's JSON."""
    packages: list[dict[str, Any]] = report["dependencies"]
    skipped = [each for each in packages if "skip_reason" in each]
    findings = tuple(
        f"{package['name']} {package['version']}: {found['id']}"
        + (f", mended in {', '.join(found['fix_versions'])}" if found.get("fix_versions") else "")
        for package in packages
        for found in package.get("vulns", ())
    )
    reason = f"{len(skipped)} of {len(packages)} packages, the first: {skipped[0]['skip_reason']}" if skipped else ""
    return Audit(len(packages) - len(skipped), findings, reason)


def main() -> int:
    command = [
        str(Path(sys.executable).with_name("pip-audit")), "--requirement", str(LOCK), "--disable-pip",
        "--require-hashes", "--vulnerability-service", "osv", "--format", "json", "--progress-spinner", "off",
        "--timeout", str(_REQUEST_SECONDS_MAX),
    ]  # fmt: skip
    found = audit(command)
    if found.not_audited:
        print(f"NOT AUDITED: {found.not_audited}")
    for line in found.findings:
        print(line)
    if found.looked_up:
        print(f"{found.looked_up} packages looked up, {len(found.findings)} known vulnerabilities")
    return 1 if found.findings else 0


if __name__ == "__main__":
    sys.exit(main())
