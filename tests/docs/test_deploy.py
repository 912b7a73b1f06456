"""What config/deploy holds can be used as it stands, and fits the code: settings, timeouts, probes, permissions."""

from __future__ import annotations

import ast
import configparser
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # read as plain values, which are checked
from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import ServiceModel

from slipway import __version__
from slipway.aws.sdk.clients import register_update_operation
from slipway.core.events.schema import asyncapi_document
from slipway.core.rules.event_pattern import Pattern
from slipway.core.rules.triggers import first_match
from slipway.daemon import EXIT_WRONG_SETTING
from slipway.http.health import CHECK_TIMEOUT_SECONDS
from slipway.settings.fields import SETTINGS, variable
from slipway.settings.load import default_values, load, load_triggers
from slipway.worker.runtime.worker import LONGEST_SHUTDOWN_SECONDS
from tests.support.cloudformation import properties, statements, template
from tests.support.kubernetes import RULE, prometheus_rule
from tests.support.log_events import entries
from tests.support.readme import ROOT, commands

FOLDER = ROOT / "config" / "deploy"
SERVICES = ("bedrock", "bedrock-runtime", "sqs", "sns", "sts", "stepfunctions", "sagemaker")
"""Bedrock comes first: several have TagResource and ListTagsForResource, and Slipway knows no tags but those of deployments."""
PREFIXES = {"bedrock-runtime": "bedrock", "stepfunctions": "states"}
"""What IAM calls a service, where it is not as the SDK does."""
PERMISSIONS = {"Converse": "InvokeModel"}
"""What IAM calls a permission, where it has not the call's name."""
FREE = {"sts:GetCallerIdentity"}
"""Everybody may do that, whatever a policy says."""


def document(name: str) -> Any:
    text = (FOLDER / name).read_text("utf-8")
    return json.loads(text) if name.endswith(".json") else list(yaml.safe_load_all(text))


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's keys have capitals
    parser.read(FOLDER / "slipway.service", "utf-8")
    return parser


def of_kind(kind: str) -> Any:
    documents = [document(f"kubernetes/base/{path.name}") for path in (FOLDER / "kubernetes" / "base").glob("*.yaml")]
    (found,) = (each for several in documents for each in several if each["kind"] == kind)
    return found


def pod() -> Any:
    return of_kind("Deployment")["spec"]["template"]["spec"]


def container() -> Any:
    (only,) = pod()["containers"]
    return only


def task() -> Any:
    (only,) = properties("Task")["ContainerDefinitions"]
    return only


def test_the_task_gets_settings_that_slipway_has_and_their_defaults() -> None:
    values = {pair["Name"]: pair["Value"] for pair in task()["Environment"]}
    assert values.pop("SLIPWAY_CONTROL_QUEUE_URL") == {"Fn::If": ["HasControl", {"Ref": "Control"}, ""]}
    given = {name: value["Ref"] for name, value in values.items()}
    assert given.pop("AWS_REGION") == "AWS::Region"
    assert {given.pop("SLIPWAY_QUEUE_URL"), given.pop("SLIPWAY_TOPIC_ARN")} == {"Requests", "Events"}
    fields = {variable(setting.name): setting for setting in SETTINGS}
    for name, parameter in given.items():
        offered = template()["Parameters"][parameter]
        assert offered["Default"] == default_values()[fields[name].name], name
        assert (offered["MinValue"], offered["MaxValue"]) == (fields[name].least, fields[name].most), name


def test_all_say_the_same_settings_and_slipway_takes_them() -> None:
    (given,) = container()["env"]
    of_pod = load({given["name"]: str(FOLDER / "kubernetes" / "base" / "slipway.toml")})
    of_machine = load({}, str(FOLDER / "slipway.toml"))
    assert {(each.queue_url, each.topic_arn) for each in (of_pod, of_machine)} == {
        (
            "https://sqs.us-east-1.amazonaws.com/123456789012/slipway-requests",
            "arn:aws:sns:us-east-1:123456789012:slipway-events",
        )
    }


def test_the_settings_file_is_where_slipway_is_told_that_it_is() -> None:
    (mount,) = container()["volumeMounts"]
    (volume,) = pod()["volumes"]
    assert mount["name"] == volume["name"]
    assert {"name": "SLIPWAY_CONFIG", "value": f"{mount['mountPath']}/slipway.toml"} in container()["env"]
    settings, environment = of_kind("Kustomization")["configMapGenerator"]
    assert (settings["name"], settings["files"]) == (volume["configMap"]["name"], ["slipway.toml"])
    assert container()["envFrom"] == [{"configMapRef": {"name": environment["name"]}}]
    program, command, option, path = unit()["Service"]["ExecStart"].split()
    assert (Path(program).name, command, option) == ("slipway", "serve", "--config")
    for file in (path, unit()["Service"]["EnvironmentFile"]):
        assert file.startswith("/etc/slipway/")
        assert (FOLDER / Path(file).name).exists()


def test_everybody_lets_it_say_goodbye() -> None:
    given = {
        "ecs": task()["StopTimeout"],
        "kubernetes": pod()["terminationGracePeriodSeconds"],
        "systemd": int(unit()["Service"]["TimeoutStopSec"]),
    }
    for where, seconds in given.items():
        assert seconds >= LONGEST_SHUTDOWN_SECONDS + 5, where
    assert unit()["Service"]["KillSignal"] == "SIGTERM"


def test_the_probes_ask_what_there_is_and_wait_for_as_long_as_an_answer_may_take() -> None:
    source = (ROOT / "service" / "slipway" / "http" / "server.py").read_text("utf-8")
    for probe, path in (("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
        asked = container()[probe]
        assert asked["httpGet"] == {"path": path, "port": "http"}
        assert f'web.get("{path}"' in source
    assert container()["readinessProbe"]["timeoutSeconds"] > CHECK_TIMEOUT_SECONDS
    kind, program, command = task()["HealthCheck"]["Command"]
    assert (kind, program) == ("CMD", "slipway")
    assert command in dict(commands())


def test_a_wrong_setting_is_no_reason_to_try_again() -> None:
    assert unit()["Service"]["Restart"] == "on-failure"
    assert int(unit()["Service"]["RestartPreventExitStatus"]) == EXIT_WRONG_SETTING


def test_it_is_the_image_that_the_dockerfile_makes() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    port = load({}, str(FOLDER / "slipway.toml")).http_port
    assert f"EXPOSE {port}\n" in dockerfile
    assert [each["ContainerPort"] for each in task()["PortMappings"]] == [port]
    assert [each["containerPort"] for each in container()["ports"]] == [port]
    context = pod()["securityContext"]
    assert f"USER {context['runAsUser']}:{context['runAsGroup']}\n" in dockerfile
    assert container()["image"] == f"slipway:{__version__}"


def test_what_the_dockerfile_copies_is_not_kept_from_it() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    let_in = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text("utf-8"), re.MULTILINE)
    assert {name for names in copied for name in names.split()} == set(let_in)
    assert all((ROOT / name).exists() for name in let_in)


def test_the_pods_that_are_meant_are_those_that_there_are() -> None:
    labels = of_kind("Deployment")["spec"]["template"]["metadata"]["labels"]
    for kind in ("Deployment", "PodDisruptionBudget"):
        assert of_kind(kind)["spec"]["selector"]["matchLabels"] == labels
    assert of_kind("NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == labels
    assert all(each["labelSelector"]["matchLabels"] == labels for each in pod()["topologySpreadConstraints"])
    assert pod()["serviceAccountName"] == of_kind("ServiceAccount")["metadata"]["name"]


def test_what_prometheus_scrapes_is_what_the_alerts_are_about() -> None:
    (scraping,) = document("prometheus.yaml")
    (job,) = scraping["scrape_configs"]
    alerts = (ROOT / "config" / "grafana" / "alerts.yaml").read_text("utf-8")
    assert set(re.findall(r'job="([^"]*)"', alerts)) == {job["job_name"]}
    kept = {tuple(rule["source_labels"]): rule["regex"] for rule in job["relabel_configs"] if rule.get("action") == "keep"}
    labels = of_kind("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert kept == {
        ("__meta_kubernetes_pod_label_app_kubernetes_io_name",): labels["app.kubernetes.io/name"],
        ("__meta_kubernetes_pod_container_port_name",): container()["ports"][0]["name"],
    }


def test_the_alerts_of_the_prometheus_operator_are_the_alerts() -> None:
    assert RULE.read_text("utf-8") == prometheus_rule(), "python -m tests.support.kubernetes writes them"


def test_the_queue_is_made_as_the_contract_says() -> None:
    channels: Any = asyncapi_document(__version__)["channels"]
    said = channels["requests"]["bindings"]["sqs"]["queue"]
    queue = properties("Requests")
    assert queue["MessageRetentionPeriod"] == said["messageRetentionPeriod"]
    assert queue["RedrivePolicy"]["maxReceiveCount"] == said["redrivePolicy"]["maxReceiveCount"]


def test_what_holds_messages_outlives_the_stack() -> None:
    kept = {"AWS::SQS::Queue", "AWS::SNS::Topic", "AWS::KMS::Key"}
    for name, resource in template()["Resources"].items():
        if resource["Type"] in kept:
            assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain"), name


AWS = ROOT / "service" / "slipway" / "aws"
NAMES = ("QueueName", "TopicName", "LogGroupName", "AlarmName", "DashboardName", "ClusterName", "ServiceName", "Family")


def test_every_name_in_the_stack_comes_from_the_stack() -> None:
    for name, resource in template()["Resources"].items():
        given = resource.get("Properties", {})
        for key in set(NAMES) & set(given):
            assert "AWS::StackName" in str(given[key]) or given[key] == {"Ref": "Logs"}, (name, key)


def test_alarms_count_what_the_log_says() -> None:
    def filtered(resource: str) -> str:
        (event,) = re.findall(r'\$\.event = "([^"]+)"', properties(resource)["FilterPattern"])
        return str(event)

    raised = {each.event for each in entries() if each.level == "error" and each.event.endswith("faulted")}
    assert raised == {each.event for each in entries() if fnmatch(each.event, filtered("FaultsMetric"))}
    facts = {each.event: each.facts for each in entries()}
    assert filtered("QuotaFullMetric") in facts
    assert "outcome" in facts[filtered("OutcomesMetric")]
    metrics = {
        transformation["MetricName"]: transformation["MetricNamespace"]
        for resource in template()["Resources"].values()
        if resource["Type"] == "AWS::Logs::MetricFilter"
        for transformation in resource["Properties"]["MetricTransformations"]
    }
    for resource in template()["Resources"].values():
        alarm = resource.get("Properties", {})
        if resource["Type"] == "AWS::CloudWatch::Alarm" and not isinstance(alarm["Namespace"], str):
            assert metrics[alarm["MetricName"]] == alarm["Namespace"]


def test_what_eventbridge_sends_is_what_a_trigger_makes_requests_of() -> None:
    sent = Pattern(properties("CustomizationJobs")["EventPattern"])
    event = json.loads((ROOT / "config" / "samples" / "bedrock-job-completed.json").read_text("utf-8"))
    assert sent.matches(event)
    assert not sent.matches(event | {"detail": event["detail"] | {"jobStatus": "Failed"}})
    assert first_match(load_triggers(str(ROOT / "config" / "triggers.toml")), event).name == "bedrock-customization-completed"


def test_the_daemon_may_do_exactly_what_it_does() -> None:
    loaded = (
        "import sys, slipway.daemon\n"
        "print(*(module.__file__ for name, module in sys.modules.items() if name.startswith('slipway.aws.')))"
    )
    names = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()
    of_daemon = {action for name in names for action in called(Path(name))}
    assert {"sqs:ReceiveMessage", "bedrock:CreateCustomModelDeployment"} <= of_daemon
    assert actions(document("policy.json")) == of_daemon - FREE | {"sts:AssumeRole"}, "the SDK itself assumes roles"


def test_whoever_types_commands_may_do_exactly_what_they_do() -> None:
    everything = {action for path in AWS.rglob("*.py") for action in called(path)}
    daemon, operator = actions(document("policy.json")), actions(document("operator-policy.json"))
    assert everything - daemon <= operator <= everything


@pytest.mark.parametrize(("resource", "file"), [("DaemonPolicy", "policy.json"), ("OperatorPolicy", "operator-policy.json")])
def test_the_stack_gives_what_the_policies_say(resource: str, file: str) -> None:
    made = [each for each in statements(properties(resource)["PolicyDocument"]) if each.get("Sid") != "UseKey"]
    said = [each for each in document(file)["Statement"] if not set(each["Action"]) <= FREE]
    assert [(each.get("Sid"), sorted(each["Action"])) for each in made] == [
        (each.get("Sid"), sorted(each["Action"])) for each in said
    ]


def actions(policy: Any) -> set[str]:
    return {action for statement in policy["Statement"] for action in statement["Action"]}


def called(module: Path) -> Iterator[str]:
    """The permissions that a module of service/slipway/aws needs: every method of an SDK client that its code names."""
    tree = ast.parse(module.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in methods():
            service = methods()[node.attr]
            operation = service_model(service).operation_names[method_names(service).index(node.attr)].removesuffix("Batch")
            yield f"{PREFIXES.get(service, service)}:{PERMISSIONS.get(operation, operation)}"


@cache
def methods() -> dict[str, str]:
    """The service that a client's method is of, by its name: of several the first."""
    return {method: service for service in reversed(SERVICES) for method in method_names(service)}


@cache
def method_names(service: str) -> list[str]:
    return [xform_name(operation) for operation in service_model(service).operation_names]


@cache
def service_model(service: str) -> ServiceModel:
    loader = Loader()
    register_update_operation(loader)
    return ServiceModel(loader.load_service_model(service, "service-2"), service)


@pytest.mark.parametrize("name", ["policy.json", "operator-policy.json"])
def test_a_policy_is_well_formed(name: str) -> None:
    policy = document(name)
    assert policy["Version"] == "2012-10-17"
    for statement in policy["Statement"]:
        assert set(statement) <= {"Sid", "Effect", "Action", "Resource", "Principal", "Condition"}
        assert statement["Effect"] == "Allow"
