"""The broker's jars: fetched once by Maven coordinate, kept in a cache folder, checked against a committed lock.

`python -m services.runtime.embedded.jars` fetches what is missing; with `--lock` it resolves the broker's
dependencies afresh and rewrites the lock. After that the broker starts from the cache with no network.
"""

from __future__ import annotations

import hashlib
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jgo.maven import Dependency, MavenContext

LOCK_PATH = Path(__file__).with_name("kafka_jars.lock")
ROOT_COORDINATES = (
    "org.apache.kafka:kafka_2.13:4.1.2",
    "org.apache.logging.log4j:log4j-slf4j-impl:2.25.5",
    "org.apache.logging.log4j:log4j-core:2.25.5",
    "org.apache.logging.log4j:log4j-api:2.25.5",
)
_DOWNLOAD_TIMEOUT_SECONDS = 120
_PARALLEL_DOWNLOADS = 4


class JarsError(Exception):
    """A jar is missing, can't be fetched, or is not the one that was locked."""


@dataclass(frozen=True, slots=True)
class Jar:
    """One locked file: its Maven coordinate, its size in bytes and its SHA-256 in hex."""

    group: str
    artifact: str
    version: str
    size_bytes: int
    sha256: str

    @property
    def coordinate(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"

    def path_in(self, repository: Path) -> Path:
        folder = repository.joinpath(*self.group.split("."), self.artifact, self.version)
        return folder / f"{self.artifact}-{self.version}.jar"


def cache_folder() -> Path:
    """Where downloads are kept: `$SPENDSTREAM_CACHE`, else `~/.cache/spendstream`."""
    chosen = os.environ.get("SPENDSTREAM_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "spendstream"


def parse_lock(text: str) -> tuple[Jar, ...]:
    """Read lines of `group:artifact:version size sha256`; `#` starts a comment."""
    jars = []
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        coordinate, size, sha256 = line.split()
        group, artifact, version = coordinate.split(":")
        jars.append(Jar(group, artifact, version, int(size), sha256))
    return tuple(jars)


def format_lock(jars: Sequence[Jar]) -> str:
    header = "# The broker's jars. Written by `python -m services.runtime.embedded.jars --lock`.\n"
    return header + "".join(f"{jar.coordinate} {jar.size_bytes} {jar.sha256}\n" for jar in jars)


def locked_jars() -> tuple[Jar, ...]:
    return parse_lock(LOCK_PATH.read_text())


def missing_jars(cache: Path) -> tuple[Jar, ...]:
    """The locked jars that are not in the cache yet (by name and size; `classpath` checks the content)."""
    return tuple(jar for jar in locked_jars() if not _has_size(jar.path_in(_repository(cache)), jar.size_bytes))


def fetch(cache: Path, say: Callable[[str], None]) -> None:
    """Download what is missing and check every file; a wrong one is deleted and named.

    Raises:
        JarsError: a file couldn't be downloaded or differs from the lock.
    """
    missing = missing_jars(cache)
    if missing:
        size_mb = sum(jar.size_bytes for jar in missing) / 1e6
        say(f"Downloading Kafka's {len(missing)} jars, {size_mb:.0f} MB, into {cache}")
        context = _maven_context(cache)
        with ThreadPoolExecutor(_PARALLEL_DOWNLOADS) as pool:
            list(pool.map(lambda jar: _download(context, jar), missing))
    classpath(cache)


def classpath(cache: Path) -> tuple[Path, ...]:
    """Paths of all locked jars, each with the locked SHA-256 (about 0.1 s for 70 MB).

    Raises:
        JarsError: a jar is missing or differs from the lock; the message says what to do.
    """
    paths = []
    for jar in locked_jars():
        path = jar.path_in(_repository(cache))
        if not path.is_file():
            raise JarsError(f"{path} is missing: run `python3 deploy/bootstrap.py setup` once, with a network.")
        if _sha256(path) != jar.sha256:
            path.unlink()
            raise JarsError(f"{jar.coordinate} is not the file that was locked; it was removed. Set up again.")
        paths.append(path)
    return tuple(paths)


def resolve_lock(cache: Path) -> tuple[Jar, ...]:
    """Resolve the root coordinates with their dependencies and describe each file.

    One root at a time: resolved together, a version that one of them manages would replace the broker's own. Where
    two roots want different versions, a root's own version wins, then the first root's.
    """
    context = _maven_context(cache)
    chosen: dict[tuple[str, str], Dependency] = {}
    roots: dict[tuple[str, str], Dependency] = {}
    for coordinate in ROOT_COORDINATES:
        inputs, transitive = context.resolver.resolve([context.create_dependency(coordinate)])
        roots |= {(each.groupId, each.artifactId): each for each in inputs}
        chosen = {(each.groupId, each.artifactId): each for each in transitive} | chosen
    return tuple(_describe(dependency) for _, dependency in sorted((chosen | roots).items()))


def _describe(dependency: Dependency) -> Jar:
    path = dependency.artifact.resolve()
    size_bytes = path.stat().st_size
    return Jar(dependency.groupId, dependency.artifactId, dependency.version, size_bytes, _sha256(path))


def _repository(cache: Path) -> Path:
    return cache / "maven"


def _maven_context(cache: Path) -> MavenContext:
    # Imported here: only set-up needs it, and it takes a while.
    from jgo.config import GlobalSettings
    from jgo.maven import MavenContext

    repositories = GlobalSettings.load().repositories or None
    return MavenContext(repo_cache=_repository(cache), remote_repos=repositories, timeout=_DOWNLOAD_TIMEOUT_SECONDS)


def _download(context: MavenContext, jar: Jar) -> None:
    path = jar.path_in(_repository(context.repo_cache.parent))
    path.unlink(missing_ok=True)  # half of a file, from a set-up that was interrupted
    try:
        context.create_dependency(jar.coordinate).artifact.resolve()
    except Exception as error:
        raise JarsError(f"Couldn't download {jar.coordinate}: {error}") from error


def _has_size(path: Path, size_bytes: int) -> bool:
    return path.is_file() and path.stat().st_size == size_bytes


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main(arguments: Sequence[str]) -> int:
    cache = cache_folder()
    try:
        if "--lock" in arguments:
            LOCK_PATH.write_text(format_lock(resolve_lock(cache)))
        fetch(cache, say=lambda line: print(line, flush=True))
    except JarsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
