"""Metrics are declared once, named by one rule, documented, and all that rules and dashboards ask for exists."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import yaml

from deploy import generate_metrics
from deploy.grafana import generate as generate_dashboards

ROOT = Path(__file__).resolve().parents[3]
_UNIT = re.compile(r"_(seconds|bytes|events|messages|pending|halted|refused)$")


def scraped() -> dict[str, set[str]]:
    """Name of a series → its labels."""
    found: dict[str, set[str]] = {"up": {"job", "instance"}}
    for metrics in generate_metrics.by_service().values():
        for each in metrics:
            if each.kind == "histogram":
                found |= {f"{each.name}_{end}": {*each.labels} for end in ("sum", "count")}
                found[f"{each.name}_bucket"] = {*each.labels, "le"}
            else:
                found[each.name] = set(each.labels)
    return found


def expressions() -> list[str]:
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())["groups"]
    asked = [rule["expr"] for group in rules for rule in group["rules"]]
    for board in generate_dashboards.dashboards().values():
        asked += [target["expr"] for panel in board["panels"] for target in panel["targets"] if "expr" in target]
    return asked


def test_names_say_the_service_the_unit_and_that_a_counter_counts() -> None:
    for service, metrics in generate_metrics.by_service().items():
        assert len(metrics) >= 2
        for each in metrics:
            assert each.name.startswith(f"spendstream_{service}_"), each
            assert each.name.endswith("_total") == (each.kind == "counter"), each
            assert each.kind == "counter" or _UNIT.search(each.name), each
            assert each.says.endswith("."), each


def test_nobody_declares_a_metric_elsewhere() -> None:
    for path in (ROOT / "services").rglob("*.py"):
        if path.name == "metrics.py" or "stubs" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "prometheus_client":
                assert not {name.name for name in node.names} & {"Counter", "Gauge", "Histogram", "Summary"}, path


def test_rules_and_dashboards_ask_for_metrics_and_labels_that_are_declared() -> None:
    known = scraped()
    asked = expressions()
    assert len(asked) > 20
    for text in asked:
        names = set(re.findall(r"\b(spendstream_\w+|up)\b", re.sub(r'"[^"]*"', '""', text)))
        assert names and names <= known.keys(), text
        labels = set(re.findall(r"(\w+) *=~?", re.sub(r'"[^"]*"', '""', text)))
        for group in re.findall(r"by \(([^)]*)\)", text):
            labels |= {label.strip() for label in group.split(",")}
        assert labels <= set().union(*(known[name] for name in names)), text


def test_each_rule_is_tried() -> None:
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())["groups"]
    tried = (ROOT / "deploy/prometheus/alerts_test.yml").read_text()
    for name in (rule["alert"] for group in rules for rule in group["rules"]):
        assert name in tried, name


def test_pages_and_dashboards_are_as_the_code_makes_them() -> None:
    assert generate_metrics.main(["--check"]) == 0
    assert generate_dashboards.main(["--check"]) == 0
    for name in ("alerts.yml", "dashboards"):
        assert (ROOT / "helm/spendstream/files" / name).resolve().is_relative_to(ROOT / "deploy"), name


def test_dashboards_have_ids_of_their_own_and_fit_the_grid() -> None:
    boards = [json.loads(path.read_text()) for path in generate_dashboards.FOLDER.glob("*.json")]
    assert len({board["uid"] for board in boards}) == len(boards) == 5
    for board in boards:
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
        taken: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert at["x"] + at["w"] <= 24 and not cells & taken, (board["uid"], panel["title"])
            taken |= cells
