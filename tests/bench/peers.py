"""The environment of those our prices are compared with. `litellm` wants another click than Faust does, so that they
can't live together; made once, in the cache, from what `REQUIREMENTS` says."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
REQUIREMENTS: Final = ("genai-prices==0.2.3", "litellm==1.110.2", "pyyaml==6.0.4")
_SECONDS_MAX: Final = 600


def _home() -> Path:
    cache = os.environ.get("SPENDSTREAM_CACHE") or Path.home() / ".cache" / "spendstream"
    return Path(cache) / "bench-peers"


def peers_python() -> Path:
    """The environment's interpreter; made where it isn't there yet, or lacks something."""
    home = _home()
    python, stamp = home / "bin" / "python", home / "requirements.txt"
    wanted = "\n".join(REQUIREMENTS) + "\n"
    if not python.exists() or not stamp.exists() or stamp.read_text() != wanted:
        print(f"Downloading {', '.join(REQUIREMENTS)}, once", file=sys.stderr)
        venv.create(home, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *REQUIREMENTS], check=True, timeout=_SECONDS_MAX)
        stamp.write_text(wanted)
    return python


def run_beside_peers(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a module of this folder there, with its figures from what was installed, never from the network."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    command = [str(peers_python()), "-m", module, *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, timeout=_SECONDS_MAX, check=False
    )
