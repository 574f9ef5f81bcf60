"""The data folder: locked while in use, with a manifest that notices when part of it was wiped."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
import shutil
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from services.runtime.children import is_alive
from services.runtime.embedded.integrity import Part, PartState, diagnose

_MANIFEST_FORMAT = 1
_LOCK_WAIT_SECONDS = 20.0


class HomeError(Exception):
    """The data folder can't be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a data folder says about itself.

    `home_id` is also the broker's cluster id (a UUID in URL-safe base64); `parts` maps a part to `creating` or
    `ready`; `ports` are TCP ports by name.
    """

    home_id: str
    format: int = _MANIFEST_FORMAT
    parts: dict[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)


def default_home() -> Path:
    """`$SPENDSTREAM_HOME`, else `~/.local/share/spendstream`."""
    chosen = os.environ.get("SPENDSTREAM_HOME")
    return Path(chosen).expanduser().absolute() if chosen else Path.home() / ".local" / "share" / "spendstream"


class Home:
    """An opened data folder. Use it as a context manager; while open nobody else can."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock_fd: int | None = None
        self._manifest: Manifest | None = None

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def lock_descriptor(self) -> int:
        """Children that write here inherit it, so that the folder stays locked until the last of them is gone."""
        assert self._lock_fd is not None, "the home is open"
        return self._lock_fd

    @property
    def manifest(self) -> Manifest:
        assert self._manifest is not None, "the home is open"
        return self._manifest

    def open(self) -> Self:
        """Create the folder if needed, lock it, and check that its parts belong together.

        Raises:
            HomeError: it is in use, can't be written, or part of it is gone.
        """
        try:
            # Others may pass through: as root, the database runs as another user.
            self.path.mkdir(parents=True, exist_ok=True, mode=0o711 if os.geteuid() == 0 else 0o700)
            self.logs.mkdir(exist_ok=True)
            self.logs.chmod(0o700)
            self._lock()
        except OSError as error:
            raise HomeError(f"Can't use {self.path} as data folder: {error.strerror}.") from error
        try:
            self._read_manifest()
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, *exception: object) -> None:
        self.close()

    def remember_port(self, name: str, port: int) -> None:
        self._write(replace(self.manifest, ports={**self.manifest.ports, name: port}))

    def is_ready(self, part: Part) -> bool:
        return self.manifest.parts.get(part) == PartState.READY

    def begin_part(self, part: Part) -> Path:
        """Say that a part is being created; whatever an interrupted creation left is removed."""
        self._write(replace(self.manifest, parts={**self.manifest.parts, part: PartState.CREATING}))
        folder = self.path / part
        if folder.is_symlink():
            shutil.rmtree(folder.resolve(), ignore_errors=True)
            folder.unlink()
        elif folder.exists():
            shutil.rmtree(folder)
        return folder

    def finish_part(self, part: Part) -> None:
        self._write(replace(self.manifest, parts={**self.manifest.parts, part: PartState.READY}))

    def secret(self, name: str, make: Callable[[], str] = lambda: secrets.token_urlsafe(24)) -> str:
        """A random secret by this name, made up once and kept in a file only the owner can read."""
        known = self._secrets()
        if name not in known:
            known[name] = make()
            write_private(self.path / "secrets.json", json.dumps(known, indent=2))
        return known[name]

    def _secrets(self) -> dict[str, str]:
        path = self.path / "secrets.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def _lock(self) -> None:
        path = self.path / "lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + _LOCK_WAIT_SECONDS
        while not _try_lock(descriptor):
            owner = os.read(descriptor, 32).decode().strip()
            os.lseek(descriptor, 0, os.SEEK_SET)
            # The owner is gone but its broker or database is still stopping: that takes seconds.
            if (owner.isdigit() and is_alive(int(owner))) or time.monotonic() > deadline:
                os.close(descriptor)
                raise HomeError(
                    f"{self.path} is in use by another Spendstream (process {owner or 'unknown'}). "
                    "Stop it first, or choose another folder with SPENDSTREAM_HOME."
                )
            time.sleep(0.1)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        self._lock_fd = descriptor

    def _read_manifest(self) -> None:
        path = self.path / "manifest.json"
        manifest = _parse(path) if path.exists() else None
        parts: dict[str, str] = {} if manifest is None else manifest.parts
        present = frozenset(part for part in Part if (self.path / part).exists())
        problem = diagnose({part: parts.get(part) for part in Part}, present, self.path)
        if problem:
            raise HomeError(problem)
        if manifest is None:
            self._write(Manifest(home_id=_new_id()))
        else:
            self._manifest = manifest

    def _write(self, manifest: Manifest) -> None:
        write_private(self.path / "manifest.json", json.dumps(asdict(manifest), indent=2))
        self._manifest = manifest


def _new_id() -> str:
    # Kafka's own rule: no leading dash, a command line would take it for an option.
    text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return "A" + text[1:] if text.startswith("-") else text


def _parse(path: Path) -> Manifest:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
        manifest = Manifest(**found)
    except (ValueError, TypeError) as error:
        raise HomeError(
            f"{path} can't be read ({error}). Restore it from a backup, or start with a new folder."
        ) from error
    if manifest.format != _MANIFEST_FORMAT:
        raise HomeError(f"{path} is of format {manifest.format}; this Spendstream knows {_MANIFEST_FORMAT} only.")
    return manifest


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step; only its owner can read it."""
    temporary = path.with_name(path.name + ".new")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
