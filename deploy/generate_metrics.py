"""Writes docs/reference/metrics.md from the services' declarations: `python -m deploy.generate_metrics [--check]`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

PAGE = Path(__file__).resolve().parents[1] / "docs/reference/metrics.md"
SERVICES = ("gateway", "processor", "query", "alerting")
_KINDS: tuple[tuple[type[MetricWrapperBase], str], ...] = (
    (Counter, "counter"), (Gauge, "gauge"), (Histogram, "histogram"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Declared:
    """A metric as it is scraped; a histogram has `_bucket`, `_sum` and `_count` behind its name."""

    name: str
    kind: str
    labels: tuple[str, ...]
    says: str


def declared(module: ModuleType) -> Iterator[Declared]:
    """What `services.*.metrics` declares, in its order."""
    for each in vars(module).values():
        if isinstance(each, MetricWrapperBase):
            kind = next(name for wrapper, name in _KINDS if isinstance(each, wrapper))
            (described,) = each.describe()
            name = f"{described.name}_total" if kind == "counter" else described.name
            yield Declared(name, kind, tuple(each._labelnames), described.documentation)


def by_service() -> dict[str, list[Declared]]:
    return {service: list(declared(import_module(f"services.{service}.metrics"))) for service in SERVICES}


def page() -> str:
    lines = [
        "# Metrics",
        "",
        "Made by `python -m deploy.generate_metrics` from `services/*/metrics.py`. Every service answers at `/metrics`",
        "in Prometheus' format; beside these there are `process_*` and `python_*` of the client library.",
    ]
    for service, metrics in by_service().items():
        lines += ["", f"## {service}", "", "| metric | kind | labels | what it says |", "|---|---|---|---|"]
        for each in metrics:
            labels = ", ".join(f"`{label}`" for label in each.labels)
            lines.append(f"| `{each.name}` | {each.kind} | {labels} | {each.says} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    text = page()
    if arguments == ["--check"]:
        if not PAGE.exists() or PAGE.read_text() != text:
            print(f"{PAGE.name} isn't what is declared. Run python -m deploy.generate_metrics", file=sys.stderr)
            return 1
        return 0
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
