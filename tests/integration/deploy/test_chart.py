"""The chart, rendered by Helm for five files of values, against schemas of Kubernetes and the services' settings."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from kubernetes_validate import utils

from deploy import tools
from tests.unit.deploy.test_compose import SETTINGS

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "helm/spendstream"
VALUES = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*.yaml"))
# Kinds that operators add, whose schemas Kubernetes doesn't have.
ADDED = {"ServiceMonitor", "PrometheusRule", "ScaledObject", "TriggerAuthentication"}
Resource = dict[str, Any]
_SECRET = re.compile(r"KEY|SECRET|PASSWORD|DSN|SLACK_WEBHOOK|SMTP_URL")


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    # One that was built without its release's flags would say an old version of Kubernetes.
    command = [str(tools.find("helm")), *arguments, "--kube-version", "1.30"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@cache
def render(values: str) -> tuple[Resource, ...]:
    file = str(CHART / f"ci/{values}-values.yaml")
    done = helm("template", "rel", str(CHART), "--namespace", "meter", "--values", file)
    assert done.returncode == 0, done.stderr
    return tuple(each for each in yaml.safe_load_all(done.stdout) if each)


def of_kind(values: str, *kinds: str) -> dict[str, Resource]:
    return {each["metadata"]["name"]: each for each in render(values) if each["kind"] in kinds}


def pods(values: str) -> dict[str, Resource]:
    """Component → pod template, of everything that runs."""
    runs = of_kind(values, "Deployment", "StatefulSet", "Job").values()
    templates = [each["spec"]["template"] for each in runs]
    return {each["metadata"]["labels"]["app.kubernetes.io/component"]: each for each in templates}


def refused(*settings: str) -> str:
    """What Helm says against values beside the smallest ones."""
    sets = [part for setting in settings for part in ("--set", setting)]
    done = helm("template", "rel", str(CHART), "--values", str(CHART / "ci/minimal-values.yaml"), *sets)
    assert done.returncode != 0, f"accepted: {settings}"
    return done.stderr


@pytest.fixture(autouse=True, scope="module")
def schemas_read_once() -> Iterator[None]:
    """The validator reads a megabyte of definitions anew for each resource."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "schema_contents", cache(utils.schema_contents))
        yield


def test_there_are_five_files_of_values() -> None:
    assert len(VALUES) == 5


@pytest.mark.parametrize("values", VALUES)
def test_lint_has_nothing_to_say(values: str) -> None:
    done = helm("lint", "--strict", str(CHART), "--values", str(CHART / f"ci/{values}-values.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", ["1.27", "1.37"])
@pytest.mark.parametrize("values", VALUES)
def test_what_is_rendered_follows_the_schemas_of_kubernetes(values: str, version: str) -> None:
    checked = 0
    for resource in render(values):
        if resource["kind"] not in ADDED:
            kubernetes_validate.validate(resource, version, strict=True)
            checked += 1
    assert checked >= 9


def test_a_misspelt_field_would_be_found() -> None:
    deployment = json.loads(json.dumps(next(iter(of_kind("minimal", "Deployment").values()))))
    deployment["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readinesProbe"):
        kubernetes_validate.validate(deployment, "1.37", strict=True)


@pytest.mark.parametrize("values", VALUES)
def test_nothing_runs_as_root_or_writes_to_its_image(values: str) -> None:
    for component, pod in pods(values).items():
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True and spec["securityContext"]["runAsUser"] > 0, component
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, component
        assert spec["automountServiceAccountToken"] is False, component
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
            }, component  # fmt: skip
            resources = container["resources"]
            assert resources["requests"].keys() == {"cpu", "memory"} and "memory" in resources["limits"], component


@pytest.mark.parametrize("values", VALUES)
def test_each_variable_is_a_setting_and_none_that_is_needed_is_missing(values: str) -> None:
    for component, pod in pods(values).items():
        fields = SETTINGS[component].model_fields
        given = [each["name"] for each in pod["spec"]["containers"][0]["env"]]
        assert len(given) == len(set(given)), component
        assert set(given) <= {f"SPENDSTREAM_{name.upper()}" for name in fields}, component
        needed = {f"SPENDSTREAM_{name.upper()}" for name, field in fields.items() if field.is_required()}
        assert needed <= set(given), component


@pytest.mark.parametrize("values", VALUES)
def test_secrets_are_referred_to_and_never_rendered(values: str) -> None:
    assert not of_kind(values, "Secret")
    for component, pod in pods(values).items():
        for variable in pod["spec"]["containers"][0]["env"]:
            if _SECRET.search(variable["name"]):
                assert variable["valueFrom"].keys() == {"secretKeyRef"}, (component, variable)


@pytest.mark.parametrize("values", VALUES)
def test_services_policies_and_budgets_select_their_pods_and_probes_ask_a_port_that_is_there(values: str) -> None:
    labels = {component: pod["metadata"]["labels"] for component, pod in pods(values).items()}

    def selected(selector: dict[str, str]) -> list[str]:
        return [component for component, has in labels.items() if selector.items() <= has.items()]

    for name, resource in of_kind(values, "Service", "NetworkPolicy", "PodDisruptionBudget").items():
        spec = resource["spec"]
        selector = spec.get("podSelector", spec.get("selector"))
        selector = selector.get("matchLabels", selector)
        assert selected(selector) == [name.rsplit("-", 1)[1]], name
    for component, pod in pods(values).items():
        container = pod["spec"]["containers"][0]
        ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
        if component != "prepare":
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                assert container[probe]["httpGet"]["port"] in ports, component
            given = {each["name"]: each.get("value") for each in container["env"]}
            assert given[f"SPENDSTREAM_{component.upper()}_PORT"] == str(ports["http"])


def test_services_scale_separately() -> None:
    runs = of_kind("placed", "Deployment", "StatefulSet")
    replicas = {name: each["spec"].get("replicas") for name, each in runs.items()}
    assert replicas == {"rel-spendstream-gateway": None, "rel-spendstream-query": None, "rel-spendstream-processor": 12}
    scaled = {name: each["spec"]["maxReplicas"] for name, each in of_kind("placed", "HorizontalPodAutoscaler").items()}
    assert scaled == {"rel-spendstream-gateway": 10, "rel-spendstream-query": 6}


def test_flags_bring_what_operators_understand_and_without_them_there_is_none() -> None:
    assert not of_kind("minimal", *ADDED)
    assert {each["kind"] for each in render("scaled")} >= ADDED
    by_lag = of_kind("scaled", "ScaledObject")["rel-spendstream-processor"]["spec"]
    assert by_lag["scaleTargetRef"]["kind"] == "StatefulSet"
    assert by_lag["scaleTargetRef"]["name"] in of_kind("scaled", "StatefulSet")
    metadata = by_lag["triggers"][0]["metadata"]
    assert metadata["consumerGroup"] == SETTINGS["processor"].model_fields["consumer_group"].default
    assert metadata["topic"] == SETTINGS["processor"].model_fields["usage_topic"].default
    assert (metadata["tls"], metadata["sasl"]) == ("enable", "scram_sha256")
    assert "replicas" not in of_kind("scaled", "StatefulSet")["rel-spendstream-processor"]["spec"]
    access = of_kind("scaled", "TriggerAuthentication")[by_lag["triggers"][0]["authenticationRef"]["name"]]["spec"]
    assert {each["parameter"]: each["name"] for each in access["secretTargetRef"]} == {
        "username": "kafka-user", "password": "kafka-user",
    }  # fmt: skip
    rule = of_kind("scaled", "PrometheusRule")["rel-spendstream"]["spec"]
    assert rule == yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
    monitors = of_kind("scaled", "ServiceMonitor").values()
    jobs = {each["spec"]["endpoints"][0]["relabelings"][0]["replacement"] for each in monitors}
    assert jobs == {f"spendstream-{name}" for name in SETTINGS if name != "prepare"}


def test_dashboards_and_data_source_are_those_of_compose() -> None:
    maps = of_kind("scaled", "ConfigMap")
    boards = {path.stem: path.read_text() for path in (ROOT / "deploy/grafana/dashboards").glob("*.json")}
    assert len(boards) == 5
    for name, text in boards.items():
        assert maps[f"rel-spendstream-dashboard-{name}"]["data"] == {f"spendstream-{name}.json": text}, name
    (of_chart,) = maps["rel-spendstream-data-source"]["data"].values()
    of_compose = (ROOT / "deploy/grafana/provisioning/datasources/spendstream.yaml").read_text()
    mine, theirs = (
        {each["uid"]: each for each in yaml.safe_load(text)["datasources"]} for text in (of_chart, of_compose)
    )
    assert mine.keys() == theirs.keys() == {"spendstream", "prometheus"}
    for key in ("type", "user", "secureJsonData"):
        assert mine["spendstream"][key] == theirs["spendstream"][key]
    for settings in (mine["spendstream"]["jsonData"], theirs["spendstream"]["jsonData"]):
        assert settings["timescaledb"] is True and settings["database"] == "spendstream"
    assert theirs["spendstream"]["user"] == SETTINGS["prepare"].model_fields["grafana_login"].default


def test_schema_and_topics_come_before_the_services() -> None:
    job = of_kind("minimal", "Job")["rel-spendstream-prepare"]
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert job["spec"]["template"]["spec"]["containers"][0]["command"] == ["python", "-m", "deploy.prepare"]
    assert not of_kind("placed", "Job")


def test_a_policy_lets_in_only_whom_it_names_and_out_only_where_it_must() -> None:
    policies = {name.rsplit("-", 1)[1]: each["spec"] for name, each in of_kind("secured", "NetworkPolicy").items()}
    assert all(policy["policyTypes"] == ["Ingress", "Egress"] for policy in policies.values())

    def names(policy: Resource) -> list[str]:
        selectors = [peer["namespaceSelector"]["matchLabels"] for peer in policy["ingress"][0]["from"]]
        return [labels["kubernetes.io/metadata.name"] for labels in selectors]

    peers = {name: names(policy) for name, policy in policies.items() if policy["ingress"]}
    assert peers == {
        "gateway": ["ingress-nginx", "monitoring"], "query": ["ingress-nginx", "monitoring"],
        "processor": ["monitoring"], "alerting": ["monitoring"],
    }  # fmt: skip
    out = {
        name: [port["port"] for rule in policy["egress"] for port in rule["ports"]] for name, policy in policies.items()
    }
    assert out == {
        "gateway": [53, 53, 5432, 9093], "processor": [53, 53, 5432, 9093], "prepare": [53, 53, 5432, 9093],
        "query": [53, 53, 5432], "alerting": [53, 53, 5432, 443, 465, 587],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["database.existingSecret="], "existingSecret"),
        (["kafka.bootstrap=kafka"], "bootstrap"),
        (["gatway.replicas=3"], "gatway"),
        (["image.tag=latest"], "tag"),
        (["gateway.env.LINGER=3"], "LINGER"),
        (["processor.replicas=13"], "13 processors, but kafka.usagePartitions is 12"),
        (["kafka.security.protocol=SASL_SSL"], "SASL needs kafka.security.existingSecret"),
        (["publicUrl=spend.example"], "publicUrl"),
    ],
)
def test_wrong_values_are_refused_by_name(settings: list[str], said: str) -> None:
    assert said in refused(*settings)
