#!/usr/bin/env python3
"""Sets up Spendstream in this folder and runs it; needs Python >= 3.11 and nothing else.

    python3 deploy/bootstrap.py run        set up what is missing, then start everything (Ctrl-C stops it)
    python3 deploy/bootstrap.py setup      set up only; `setup-dev` adds what tests and checks need
    python3 deploy/bootstrap.py test | check | bench | fault | replay FILE ...

Everything goes into this folder (.venv, node_modules) and a cache ($SPENDSTREAM_CACHE, else ~/.cache/spendstream).
Each step leaves a stamp: an interrupted set-up goes on where it was, a finished one costs nothing.
"""

# Nothing here may be a syntax error for an old Python, so that it can say that it is too old.
from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMPS = VENV / "spendstream-stamps.json"
WEB = ROOT / "services" / "query" / "web"
SDK = ROOT / "services" / "sdk"
REQUIREMENTS = {"run": ROOT / "deploy/requirements/run.txt", "dev": ROOT / "deploy/requirements/dev.txt"}
PYTHON_MIN = (3, 11)
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
PYTHON_NAMES = ("python3.13", "python3.12", "python3.11", "python3.14")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# What is downloaded, in MB, measured on x86-64 Linux; said before each download.
PACKAGES_MB = {"run": 225, "dev": 375}
WEB_MB = 20
JARS_MB = 44
# A file at a time: much of a test is waiting for a broker or a database.
_TWO_WORKERS = ("--numprocesses=2", "--dist=loadfile", "--no-loadscope-reorder")

CHECKS = (
    ("format", ["ruff", "format", "--check", "."]),
    ("lint", ["ruff", "check", "."]),
    ("types", ["mypy"]),
    ("types of the SDK", ["mypy", "--config-file", "services/sdk/pyproject.toml", "-p", "spendstream_sdk"]),
    ("import contracts", ["lint-imports"]),
    ("proto lint", ["buf", "lint", "proto"]),
    ("proto drift", ["python", "deploy/generate_proto.py", "--check"]),
    ("proto drift of the SDK", ["python", "services/sdk/generate_proto.py", "--check"]),
    ("normaliser of the SDK", ["python", "services/sdk/copy_normaliser.py", "--check"]),
    ("schema drift", ["python", "-m", "deploy.generate_schema", "--check"]),
    ("reference drift", ["python", "-m", "deploy.generate_reference", "--check"]),
    ("metrics page drift", ["python", "-m", "deploy.generate_metrics", "--check"]),
    ("dashboards drift", ["python", "-m", "deploy.grafana.generate", "--check"]),
    ("price book", ["python", "-m", "pricing.check"]),
    ("image lint", ["hadolint", "deploy/Dockerfile"]),
    ("known vulnerabilities", ["python", "-m", "deploy.audit_packages"]),
    ("security lint", ["bandit", "-q", "-c", "pyproject.toml", "-r", "services", "pricing", "deploy"]),
)


class SetupError(Exception):
    """Set-up can't go on; the message says why and what to do."""


def main(arguments: list[str]) -> int:
    command, rest = (arguments[0], arguments[1:]) if arguments else ("help", [])
    if command not in COMMANDS:
        print(__doc__)
        return 0 if command in ("help", "-h", "--help") else 2
    require_python(arguments)
    try:
        return COMMANDS[command](rest)
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. The next call goes on from here.", file=sys.stderr)
        return 130


def require_python(arguments: list[str]) -> None:
    """Go on with a newer Python from the PATH when this one is too old."""
    if sys.version_info >= PYTHON_MIN:
        return
    for name in PYTHON_NAMES:
        newer = shutil.which(name)
        if newer:
            os.execv(newer, [newer, str(Path(__file__).resolve()), *arguments])
    sys.exit(
        f"Spendstream needs Python 3.11 or newer, this is {PYTHON} ({sys.executable}), and no newer one is on the "
        f"PATH.\nInstall one (Debian: apt-get install python3.11), then: python3.11 deploy/bootstrap.py {arguments[0]}"
    )


# --- what can be asked for ---------------------------------------------------------------------------------------


def run(arguments: list[str]) -> int:
    set_up("run")
    return become("spendstream", "up", *arguments)


def replay(arguments: list[str]) -> int:
    set_up("run")
    return become("spendstream", "replay", *arguments)


def setup(_arguments: list[str]) -> int:
    set_up("run")
    print("Set up. Start with: make run, or python3 deploy/bootstrap.py run")
    return 0


def setup_dev(_arguments: list[str]) -> int:
    set_up("dev")
    print("Set up for development. Next: make test, make check.")
    return 0


def test(arguments: list[str]) -> int:
    set_up("dev")
    find_or_install_browser()
    fetch_tools()
    return become("python", "-m", "pytest", *(arguments or _TWO_WORKERS))


def bench(arguments: list[str]) -> int:
    set_up("dev")
    return become("python", "-m", "tests.bench", *arguments)


def fault(arguments: list[str]) -> int:
    set_up("dev")
    return become("python", "-m", "pytest", "tests/fault", *(arguments or _TWO_WORKERS))


def bench_detect(arguments: list[str]) -> int:
    set_up("dev")
    return become("python", "-m", "tests.bench.detect", *arguments)


def check(arguments: list[str]) -> int:
    """Run all checks, or those named, and say at the end which failed."""
    set_up("dev")
    failed = []
    for name, command in CHECKS:
        if arguments and name not in arguments:
            continue
        print(f"== {name}: {' '.join(command)}", flush=True)
        if subprocess.run([str(VENV / "bin" / command[0]), *command[1:]], cwd=ROOT).returncode != 0:
            failed.append(name)
    print(f"\nFailed: {', '.join(failed)}" if failed else "\nAll checks passed.")
    return 1 if failed else 0


COMMANDS = {
    "run": run,
    "setup": setup,
    "setup-dev": setup_dev,
    "test": test,
    "check": check,
    "bench": bench,
    "bench-detect": bench_detect,
    "fault": fault,
    "replay": replay,
}


def become(program: str, *arguments: str) -> NoReturn:
    """Replace this process by a program of the environment: signals go straight to it."""
    path = str(VENV / "bin" / program)
    environment = {**os.environ, "PATH": f"{VENV / 'bin'}:{os.environ.get('PATH', '')}"}
    sys.stdout.flush()
    if program != "spendstream":
        os.chdir(ROOT)
    os.execve(path, [path, *arguments], environment)


# --- setting up --------------------------------------------------------------------------------------------------


def set_up(kind: str) -> None:
    """Do the steps that haven't been done for what the lock files say now. `kind` is `run` or `dev`."""
    if not steps_to_do(kind):
        return
    if "packages" in steps_to_do(kind):
        total_mb = PACKAGES_MB[kind] + WEB_MB + JARS_MB
        say(f"Setting up, once: this downloads about {total_mb} MB from the package registries.")
    with only_one_set_up():
        for step in steps_to_do(kind):
            STEPS[step](kind)
            remember(step, wanted_stamps(kind)[step])


def steps_to_do(kind: str) -> list[str]:
    try:
        done = json.loads(STAMPS.read_text())
    except (OSError, ValueError):
        done = {}
    wanted = wanted_stamps(kind)
    # An environment for development has all that running needs.
    also_good = wanted_stamps("dev") if kind == "run" else wanted
    steps = [step for step in wanted if done.get(step) not in (wanted[step], also_good[step])]
    if "environment" in steps or not (VENV / "bin" / "python").exists():
        return list(wanted)
    if "web" not in steps and (WEB / "package.json").exists() and not (WEB / "node_modules").exists():
        steps.append("web")
    if "jars" not in steps and not jars_present():
        steps += ["jars", "warm-up"]
    return steps


def wanted_stamps(kind: str) -> dict[str, str]:
    """Step → hash of what decides its outcome, in the order of the steps."""
    return {
        "environment": PYTHON,
        "packages": digest(REQUIREMENTS[kind]),
        "project": digest(ROOT / "pyproject.toml", SDK / "pyproject.toml"),
        "web": digest(WEB / "package.json", WEB / "package-lock.json"),
        "jars": digest(ROOT / "services/runtime/embedded/kafka_jars.lock"),
        # It knows itself whether there is something to do; here it is only what it depends on.
        "warm-up": digest(ROOT / "services/runtime/embedded/kafka_jars.lock", REQUIREMENTS[kind]),
    }


def make_environment(_kind: str) -> None:
    if not importlib.util.find_spec("ensurepip"):
        install_venv_package()
    if (VENV / "bin" / "python").exists() and environment_works():
        return
    say(f"Creating .venv with Python {PYTHON}")
    command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    call(command, "The virtual environment couldn't be created.")


def environment_works() -> bool:
    code = f"import sys, pip; sys.exit(sys.version_info[:2] != {tuple(sys.version_info[:2])})"
    return subprocess.run([str(VENV / "bin" / "python"), "-c", code], capture_output=True).returncode == 0


def install_venv_package() -> None:
    package = f"python{PYTHON}-venv"
    line = f"apt-get install --yes --no-install-recommends {package}"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise SetupError(
            "This Python can't make virtual environments: its module ensurepip is missing.\n"
            f"On Debian and Ubuntu it comes with a package of its own: sudo {line}\nThen run the same command again."
        )
    say(f"Installing Debian's {package}, which virtual environments need (about 3 MB)")
    apt_install(package)


def install_packages(kind: str) -> None:
    say(f"Downloading Python packages, about {PACKAGES_MB[kind]} MB")
    pip("install", "--require-hashes", "--requirement", str(REQUIREMENTS[kind]))


def install_project(_kind: str) -> None:
    projects = [folder for folder in (ROOT, SDK) if (folder / "pyproject.toml").exists()]
    for folder in projects:
        pip("install", "--no-deps", "--no-build-isolation", "--editable", str(folder))


def install_web_libraries(_kind: str) -> None:
    if not (WEB / "package-lock.json").exists():
        return
    say(f"Downloading the page's libraries (charts, fonts), about {WEB_MB} MB")
    command = [str(VENV / "bin" / "npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    call(command, "The page's libraries couldn't be downloaded.", folder=WEB)


def fetch_jars(_kind: str) -> None:
    # It says itself what it downloads and how much.
    code = subprocess.run([str(VENV / "bin" / "python"), "-m", "services.runtime.embedded.jars"], cwd=ROOT).returncode
    if code != 0:
        raise SetupError("Kafka's jars couldn't be set up. Run the same command again to go on.")


def warm_up(_kind: str) -> None:
    # Without it the broker starts too, only slower: no reason to give up.
    subprocess.run([str(VENV / "bin" / "python"), "-m", "services.runtime.embedded.warm_up"], cwd=ROOT)


STEPS = {
    "environment": make_environment,
    "packages": install_packages,
    "project": install_project,
    "web": install_web_libraries,
    "jars": fetch_jars,
    "warm-up": warm_up,
}


def find_or_install_browser() -> None:
    """For the browser test: a Chromium from the PATH, or Playwright's; else it is installed."""
    playwrights = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH", Path.home() / ".cache" / "ms-playwright"))
    if any(shutil.which(name) for name in BROWSERS) or list(playwrights.glob("chromium*")):
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        say("Installing Debian's chromium for the browser test, about 120 MB")
        apt_install("chromium")
        return
    say("Installing Playwright's Chromium for the browser test, about 170 MB")
    call([str(VENV / "bin" / "playwright"), "install", "chromium"], "Chromium couldn't be installed.")


def fetch_tools() -> None:
    """Helm and Prometheus for the tests of chart and rules, 58 MB at first; it says itself what it downloads."""
    if subprocess.run([str(VENV / "bin" / "python"), "-m", "deploy.tools"], cwd=ROOT).returncode != 0:
        raise SetupError("Helm and Prometheus, which tests need, couldn't be had. Run the same command again to go on.")


# --- tools -------------------------------------------------------------------------------------------------------


def pip(*arguments: str) -> None:
    """Run pip; on a terminal count the packages, after a failure show what it said last."""
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    command = [str(VENV / "bin" / "python"), "-m", "pip", *arguments, "--progress-bar", "off"]
    lines: list[str] = []
    count = 0
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if line.lstrip().startswith(("Downloading", "Using cached")):
                count += 1
                progress(f"  {count} packages fetched")
            elif line.startswith("Installing collected"):
                progress(f"  {count} packages fetched, installing")
    if sys.stdout.isatty() and count:
        print()
    if process.returncode != 0:
        raise SetupError(
            f"{''.join(lines[-15:])}\nPackages couldn't be installed. Is there a network? Behind a proxy or a mirror: "
            "HTTPS_PROXY, PIP_INDEX_URL.\nRun the same command again to go on."
        )


def apt_install(package: str) -> None:
    install = ["apt-get", "install", "--yes", "--no-install-recommends", package]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if subprocess.run(install, env=environment, capture_output=True).returncode != 0:
        subprocess.run(["apt-get", "update"], env=environment, capture_output=True)  # nosec B607
        call(install, f"Debian's package {package} couldn't be installed.", environment=environment)


def call(command: list[str], problem: str, folder: Path = ROOT, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode != 0:
        last_lines = "\n".join(done.stdout.splitlines()[-15:])
        raise SetupError(f"{last_lines}\n{problem}")


def jars_present() -> bool:
    sys.path.insert(0, str(ROOT))
    from services.runtime.embedded.jars import cache_folder, missing_jars

    return not missing_jars(cache_folder())


def digest(*paths: Path) -> str:
    found = hashlib.sha256()
    for path in paths:
        found.update(path.read_bytes() if path.exists() else b"absent")
    return found.hexdigest()


def remember(step: str, stamp: str) -> None:
    try:
        done = json.loads(STAMPS.read_text())
    except (OSError, ValueError):
        done = {}
    STAMPS.with_suffix(".new").write_text(json.dumps({**done, step: stamp}, indent=2))
    STAMPS.with_suffix(".new").replace(STAMPS)


@contextmanager
def only_one_set_up() -> Iterator[None]:
    """Two set-ups at once would spoil each other; the second waits, then finds everything done."""
    with open(__file__) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def say(line: str) -> None:
    print(line, flush=True)


def progress(line: str) -> None:
    if sys.stdout.isatty():
        print("\r" + line, end="", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
