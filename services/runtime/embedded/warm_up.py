"""Runs the broker once, for nothing but its class archive: `python -m services.runtime.embedded.warm_up`.

Part of setting up. When it fails, the broker still starts, only slower.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from services.runtime.embedded.class_archive import NAME_PATTERN, archive_path
from services.runtime.embedded.home import Home
from services.runtime.embedded.jars import JarsError, cache_folder
from services.runtime.embedded.kafka import EmbeddedKafka
from services.runtime.embedded.startup import StartError

_RECORD_SECONDS_MAX = 120.0


def warm_up() -> None:
    """Record the archive unless it is there already."""
    archive = archive_path(cache_folder())
    if archive.exists():
        return
    print("Preparing the broker for quick starts, once (about 20 s)", flush=True)
    recorded = archive.with_suffix(".new")
    with tempfile.TemporaryDirectory(prefix="spendstream-warm-up-") as folder, Home(Path(folder)) as home:
        broker = EmbeddedKafka(home, recorded_archive=recorded)
        try:
            broker.begin()
            broker.launch()
            broker.wait_ready()
        finally:
            broker.stop(_RECORD_SECONDS_MAX)  # the recording is written when the broker ends
    for outdated in archive.parent.glob(NAME_PATTERN):
        outdated.unlink()
    if recorded.exists():
        recorded.replace(archive)


if __name__ == "__main__":
    try:
        warm_up()
    except (StartError, JarsError, OSError) as error:
        print(f"It didn't work, so the broker will start more slowly: {error}", file=sys.stderr)
