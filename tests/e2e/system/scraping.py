"""A real Prometheus beside a running Spendstream."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from deploy import tools
from tests.integration.processor.running import free_port

ROOT = Path(__file__).parents[3]
_READY_SECONDS = 30


@contextmanager
def prometheus(folder: Path, ports: Mapping[str, str]) -> Iterator[httpx.Client]:
    """Scrapes `/metrics` of the services at these ports every second, with the product's rules; asked by HTTP."""
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(ROOT / "deploy/prometheus/alerts.yml")],
        "scrape_configs": [
            {"job_name": f"spendstream-{name}", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
            for name, port in ports.items()
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    own_port = free_port()
    command = [
        str(tools.find("prometheus")), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{own_port}", "--log.level=warn",
    ]  # fmt: skip
    with (folder / "prometheus.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{own_port}", timeout=10) as client:
                yield client
        finally:
            process.terminate()
            process.wait(20)


def wait_scraped(client: httpx.Client, count: int) -> dict[str, Any]:
    """Job → target, when each has been scraped; an AssertionError with what was seen after a while."""
    deadline = time.monotonic() + _READY_SECONDS
    seen: object = None
    while time.monotonic() < deadline:
        try:
            # Until it has read its own disk, Prometheus answers 503.
            targets = client.get("/api/v1/targets").raise_for_status().json()["data"]["activeTargets"]
        except (httpx.TransportError, httpx.HTTPStatusError) as error:
            seen = error
        else:
            seen = [(each["labels"]["job"], each["health"], each["lastError"]) for each in targets]
            if len(targets) == count and all(each["health"] == "up" for each in targets):
                return {each["labels"]["job"]: each for each in targets}
        time.sleep(0.3)
    raise AssertionError(f"not all scraped after {_READY_SECONDS} s: {seen}")
