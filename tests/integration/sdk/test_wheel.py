"""The wheel that others install, alone: no other package, typed, and saying what an extra needs."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.integration.sdk.conftest import Door

SDK = Path(__file__).resolve().parents[3] / "services" / "sdk"
PROGRAM = """
import sys
sys.path.insert(0, {wheel!r})
from spendstream_sdk import Meter
with Meter({url!r}, "key", "t") as meter:
    with meter.run("agent"):
        meter.record(provider="openai", model="gpt-4o", prompt_tokens=10, completion_tokens=1)
    assert meter.flush(10)
for over, extra in ((Meter.over_grpc, "grpc"), (Meter.over_kafka, "kafka")):
    try:
        over("127.0.0.1:1", "key")
    except ModuleNotFoundError as error:
        assert str(error).endswith(f'pip install "spendstream-sdk[{{extra}}]"'), error
    else:
        raise AssertionError("it has come without its library")
known = sys.stdlib_module_names | {{"spendstream_sdk", "__main__"}}
others = {{name.partition(".")[0] for name in sys.modules}} - known
assert not others, others
"""
CALLER = """
from spendstream_sdk import Meter, Stats

meter = Meter("http://127.0.0.1:8080", "KEY", tenant_id="acme", defaults={"feature": "chat"})


@meter.run("research_assistant")
def work(question: str) -> str:
    with meter.section("tool:search") as scope:
        meter.record(provider="openai", model="gpt-4o-mini", prompt_tokens=len(question), completion_tokens=70)
    return scope.section_path


found: tuple[str, bool, Stats] = (work("why?"), meter.flush(5), meter.stats())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=SDK, check=True, capture_output=True, timeout=60)
    return next(folder.glob("*.whl"))


def test_it_is_small_typed_and_depends_on_nothing(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        names = files.namelist()
        metadata = next(files.read(name).decode() for name in names if name.endswith("/METADATA"))
    assert "spendstream_sdk/py.typed" in names
    assert {name.partition("/")[0].split("-")[0] for name in names} == {"spendstream_sdk"}
    assert [line for line in metadata.splitlines() if line.startswith("Requires-Dist") and "extra ==" not in line] == []
    assert wheel.stat().st_size < 100_000


def test_it_works_with_nothing_else_installed(wheel: Path, door: Door) -> None:
    # Isolated and without site-packages: what is imported comes from the wheel or from Python itself.
    program = PROGRAM.format(wheel=str(wheel), url=door.url)
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert len(door.event_ids) == 1


def test_a_callers_program_passes_a_strict_type_check_and_a_misspelt_field_does_not(
    wheel: Path, tmp_path: Path
) -> None:
    venv.create(tmp_path / "venv", symlinks=True)
    (packages,) = tmp_path.glob("venv/lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as files:
        files.extractall(packages)
    for name, text in (("right", CALLER), ("wrong", CALLER.replace("completion_tokens", "complete_tokens"))):
        (tmp_path / f"{name}.py").write_text(text)

    def check(name: str) -> str:
        of_caller = ["--strict", "--config-file=", f"--python-executable={tmp_path}/venv/bin/python", f"{name}.py"]
        command = [sys.executable, "-m", "mypy", *of_caller]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60).stdout

    assert "no issues found in 1 source file" in check("right")
    assert 'Unexpected keyword argument "complete_tokens"' in check("wrong")
