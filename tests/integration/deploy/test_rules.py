"""Alert rules by Prometheus' own tool: their syntax, and when each fires."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from deploy import tools

FOLDER = Path(__file__).resolve().parents[3] / "deploy/prometheus"


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(tools.find("promtool")), *arguments], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "--lint-fatal", str(FOLDER / "prometheus.yml")),
        ("check", "rules", "--lint-fatal", str(FOLDER / "alerts.yml")),
        ("test", "rules", str(FOLDER / "alerts_test.yml")),
    ],
    ids=["config", "rules", "tests of rules"],
)
def test_promtool_finds_nothing_wrong(arguments: tuple[str, ...]) -> None:
    done = promtool(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_rule_with_another_threshold_would_be_found(tmp_path: Path) -> None:
    rules = (FOLDER / "alerts.yml").read_text()
    assert rules.count("> 10000") == 1
    (tmp_path / "alerts.yml").write_text(rules.replace("> 10000", "> 20000"))
    (tmp_path / "alerts_test.yml").write_text((FOLDER / "alerts_test.yml").read_text())
    done = promtool("test", "rules", str(tmp_path / "alerts_test.yml"))
    assert done.returncode != 0 and "SpendstreamStreamBehind" in done.stdout + done.stderr
