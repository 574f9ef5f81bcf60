"""Writes the dashboards, as JSON that Grafana provisions: `python -m deploy.grafana.generate [--check]`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from deploy.grafana import pipeline, spend
from deploy.grafana.build import Json

FOLDER = Path(__file__).parent / "dashboards"


def dashboards() -> dict[str, Json]:
    """File name without its ending → dashboard."""
    return {
        "overview": spend.overview(),
        "tenant": spend.tenant(),
        "feature": spend.feature(),
        "request": spend.request(),
        "pipeline": pipeline.pipeline(),
    }


def main(arguments: list[str]) -> int:
    wanted = {f"{name}.json": json.dumps(made, indent=1) + "\n" for name, made in dashboards().items()}
    found = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    if arguments == ["--check"]:
        stale = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        if stale:
            print(
                f"Not as the code makes them: {', '.join(stale)}. Run python -m deploy.grafana.generate",
                file=sys.stderr,
            )
        return 1 if stale else 0
    FOLDER.mkdir(exist_ok=True)
    for name in found.keys() - wanted.keys():
        (FOLDER / name).unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
