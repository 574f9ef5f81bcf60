"""Puts the front-end files that pages serve beside the installed query service: `python -m deploy.web_files FOLDER`.

For an image: of what npm installed into FOLDER (`node_modules`), only what `services.query.pages.assets` names.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from services.query.pages.assets import MODULES, VENDOR


def copy_files(node_modules: Path, target: Path = MODULES) -> int:
    """How many files were copied. Raises FileNotFoundError for one that npm didn't bring."""
    for name in VENDOR.values():
        destination = target / name
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(node_modules / name, destination)
    return len(VENDOR)


if __name__ == "__main__":
    print(f"{copy_files(Path(sys.argv[1]))} files copied to {MODULES}")
