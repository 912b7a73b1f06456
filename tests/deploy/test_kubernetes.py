"""The Kubernetes manifests, rendered as `kubectl apply -k` would, and held to the API's schemas and to the code.

Of the kinds that operators add, no schema is at hand: what they refer to is checked instead.
"""

from __future__ import annotations

import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # read as plain values, which are checked

from slipway.settings.load import load
from tests.deploy.tools import tool
from tests.support.kubernetes import ALERTS, FOLDER
from tests.support.readme import ROOT

OVERLAYS = sorted(path.name for path in (FOLDER / "overlays").iterdir())
OPERATORS = ("monitoring.coreos.com/", "keda.sh/")
VERSIONS = ("1.31.0", "1.37.0")
"""The oldest and the newest Kubernetes that the manifests are checked against."""


@cache
def rendered(overlay: str) -> tuple[dict[str, Any], ...]:
    folder = FOLDER / "overlays" / overlay if overlay else FOLDER / "base"
    return tuple(yaml.safe_load_all(tool("kubectl", "kustomize", str(folder))))


def the(kind: str, overlay: str = "") -> dict[str, Any]:
    (found,) = (each for each in rendered(overlay) if each["kind"] == kind)
    return found


@pytest.mark.parametrize("overlay", ["", *OVERLAYS])
def test_what_is_rendered_is_what_kubernetes_takes(overlay: str, tmp_path: Path) -> None:
    built_in = [each for each in rendered(overlay) if not each["apiVersion"].startswith(OPERATORS)]
    assert {"Deployment", "ServiceAccount", "ConfigMap", "PodDisruptionBudget", "NetworkPolicy"} <= {
        each["kind"] for each in built_in
    }
    file = tmp_path / "rendered.yaml"
    file.write_text(yaml.safe_dump_all(built_in), "utf-8")
    for version in VERSIONS:
        tool("kubernetes-validate", "--strict", "-k", version, str(file))
    for each in rendered(overlay):
        assert each["kind"] == "Namespace" or each["metadata"]["namespace"] == "slipway"


@pytest.mark.parametrize("overlay", ["", *OVERLAYS])
def test_a_pod_may_do_little_and_gets_the_settings_that_were_rendered(overlay: str, tmp_path: Path) -> None:
    pod = the("Deployment", overlay)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert (pod["enableServiceLinks"], pod["automountServiceAccountToken"]) == (False, False)
    assert the("ServiceAccount", overlay)["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    maps = {each["metadata"]["name"]: each["data"] for each in rendered(overlay) if each["kind"] == "ConfigMap"}
    (volume,), (environment,) = pod["volumes"], container["envFrom"]
    assert "AWS_REGION" in maps[environment["configMapRef"]["name"]]
    file = tmp_path / "slipway.toml"
    file.write_text(maps[volume["configMap"]["name"]]["slipway.toml"], "utf-8")
    settings = load({}, str(file))
    assert settings.queue_url.endswith(".fifo") == settings.topic_arn.endswith(".fifo") == (overlay == "fifo")


def test_the_operator_s_alerts_are_the_alerts() -> None:
    assert the("PrometheusRule", "prometheus-operator")["spec"]["groups"] == yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]


def test_what_is_monitored_is_the_service_and_its_job_has_the_name_that_alerts_know() -> None:
    service, monitor = the("Service", "prometheus-operator"), the("ServiceMonitor", "prometheus-operator")
    labels = service["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert f'job="{labels[monitor["spec"]["jobLabel"]]}"' in ALERTS.read_text("utf-8")
    (endpoint,), (port,) = monitor["spec"]["endpoints"], service["spec"]["ports"]
    pod = the("Deployment", "prometheus-operator")["spec"]["template"]
    assert endpoint["port"] == port["name"]
    assert port["targetPort"] in {each["name"] for each in pod["spec"]["containers"][0]["ports"]}
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()


def test_keda_alone_sets_the_number_of_replicas_by_what_nobody_holds() -> None:
    scaled, deployment = the("ScaledObject", "keda"), the("Deployment", "keda")
    assert scaled["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert "replicas" not in deployment["spec"]
    (trigger,) = scaled["spec"]["triggers"]
    assert trigger["authenticationRef"]["name"] == the("TriggerAuthentication", "keda")["metadata"]["name"]
    assert {trigger["metadata"][key] for key in ("scaleOnInFlight", "scaleOnDelayed")} == {"false"}
    settings = load({}, str(FOLDER / "base" / "slipway.toml"))
    assert (trigger["metadata"]["queueURL"], trigger["metadata"]["queueLength"]) == (settings.queue_url, str(settings.max_held))


def test_a_kustomization_of_ones_own_as_the_manual_has_it_replaces_all_that_is_a_sample(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "run.md").read_text("utf-8")
    (own,) = re.findall(r"^```yaml\n(apiVersion: kustomize.*?)```", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "kustomization.yaml").write_text(own, "utf-8")
    for name in ("base", "components"):
        shutil.copytree(FOLDER / name, tmp_path / name)
    (tmp_path / "slipway.toml").write_text('queue_url = "https://sqs.eu-central-1.amazonaws.com/210987654321/q"\n', "utf-8")
    for name in ("triggers.toml", "permissions.toml"):
        (tmp_path / name).touch()
    text = tool("kubectl", "kustomize", str(tmp_path))
    assert "123456789012" not in text
    assert "us-east-1" not in text
    (deployment,) = (each for each in yaml.safe_load_all(text) if each["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example.com/slipway:0.1.0"
