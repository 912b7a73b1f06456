"""The samples in `config/samples/` are what the documentation and the demo show: each is what its name says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slipway.core.parsing import RequestRejected, parse_request
from slipway.core.requests.fields import CALLBACK_TOKEN, JOB, REPLY_FIELDS, TASK_TOKEN
from slipway.core.requests.models import DEPLOY, FIELDS_OF, Cancel, Delete, Deploy, Update
from slipway.core.rules.permissions import check_permission
from slipway.core.schema.rejection import NO_REPLY
from slipway.settings.load import load_permissions, load_triggers
from tests.support.bodies import HOME, TARGETS, message

CONFIG = Path(__file__).parents[3] / "config"
SAMPLES, TRIGGERS, PERMISSIONS = CONFIG / "samples", CONFIG / "triggers.toml", CONFIG / "permissions.toml"
DEPLOYS = (
    "customization-job",
    "eventbridge-wrapped",
    "expiring",
    "failing",
    "full",
    "plain",
    "reply-to",
    "sagemaker-callback",
    "sns-wrapped",
    "step-functions",
    "target",
)
OTHERS = {"cancel": Cancel, "delete": Delete, "delete-by-force": Delete, "update": Update}
UPSTREAM = ("bedrock-job-completed", "sagemaker-package-approved", "sagemaker-training-completed")


def text(name: str) -> str:
    return (SAMPLES / f"{name}.json").read_text("utf-8")


def test_each_sample_is_held_here() -> None:
    assert sorted(path.stem for path in SAMPLES.glob("*.json")) == sorted([*DEPLOYS, *OTHERS, *UPSTREAM, "invalid"])


def a_deploy(name: str) -> Deploy:
    request = parse_request(message(text(name)), TARGETS)
    assert isinstance(request, Deploy)
    return request


@pytest.mark.parametrize("name", DEPLOYS)
def test_good_samples_are_understood(name: str) -> None:
    request = a_deploy(name)
    home = TARGETS[request.target].home
    assert request.requested_model.startswith(f"arn:aws:bedrock:{home.region}:{home.account}:")


def test_the_samples_of_askers_wait_for_an_answer() -> None:
    waits = {name: a_deploy(name).reply_target for name in DEPLOYS if a_deploy(name).reply_target != NO_REPLY}
    assert waits["step-functions"].task_token
    assert waits["sagemaker-callback"].callback_token
    assert waits["reply-to"].reply_to
    assert len(waits) == 3


@pytest.mark.parametrize("name", UPSTREAM)
def test_upstream_events_are_requests_by_the_triggers_that_come_along(name: str) -> None:
    request = parse_request(message(text(name)), HOME, triggers=load_triggers(str(TRIGGERS)))
    assert request.request_id == json.loads(text(name))["id"]
    assert isinstance(request, Deploy)
    assert request.requested_model == json.loads(text(name))["detail"].get("jobName") or request.requested_model.startswith(
        "arn:aws:bedrock:us-east-1:123456789012:"
    )
    with pytest.raises(RequestRejected, match="is an event of AWS itself"):
        parse_request(message(text(name)), HOME)


def test_every_trigger_that_comes_along_matches_a_sample() -> None:
    rules = load_triggers(str(TRIGGERS))
    asked = [parse_request(message(text(name)), HOME, triggers=rules) for name in (*UPSTREAM, "eventbridge-wrapped")]
    assert {request.trigger for request in asked} == {rule.name for rule in rules}


@pytest.mark.parametrize(
    ("sender", "sample", "rule"),
    [
        ("AROAEXAMPLESUPPORT001:ci", "plain", "support"),
        ("AROAEXAMPLESUPPORT001:ci", "delete", "support"),
        ("AROAEXAMPLESUPPORT001:ci", "full", None),
        ("AIDAEXAMPLEBREAKGLASS", "delete", "on-duty"),
        ("AROASOMEBODY:x", "plain", "everybody-else"),
        ("AROASOMEBODY:x", "full", None),
        ("AROASOMEBODY:x", "delete", None),
    ],
)
def test_the_permissions_that_come_along_decide(sender: str, sample: str, rule: str | None) -> None:
    rules = load_permissions(str(PERMISSIONS))
    request = parse_request(message(text(sample)), TARGETS)
    if rule is not None:
        assert check_permission(request, sender, rules).rule == rule
        return
    with pytest.raises(RequestRejected, match=r"rule .* does not permit"):
        check_permission(request, sender, rules)


@pytest.mark.parametrize(("name", "kind"), OTHERS.items())
def test_samples_of_other_actions_are_understood(name: str, kind: type) -> None:
    assert isinstance(parse_request(message(text(name)), HOME), kind)


def test_samples_ask_for_different_deployments() -> None:
    asked = [a_deploy(name) for name in DEPLOYS]
    assert len({request.name for request in asked}) == len(asked)
    assert len({request.requested_model for request in asked}) == len(asked)


def test_the_failing_sample_has_a_name_that_the_stand_in_lets_fail() -> None:
    assert parse_request(message(text("failing")), HOME).name.startswith("fails-")


def test_the_full_sample_has_every_key() -> None:
    assert set(json.loads(text("full"))) == {field.name for field in DEPLOY} - {
        JOB.name,
        *(field.name for field in REPLY_FIELDS),
    }


def test_every_key_is_in_a_sample_but_what_only_slipway_writes() -> None:
    shown = set().union(*(json.loads(text(name)) for name in (*DEPLOYS, *OTHERS)))
    keys = {field.name for fields in FIELDS_OF.values() for field in fields}
    assert keys - shown == {"ifExpired", TASK_TOKEN.name, CALLBACK_TOKEN.name}
    assert {"TaskToken", "token"} <= shown, "how askers write them"


def test_the_invalid_sample_is_refused_with_help() -> None:
    with pytest.raises(RequestRejected) as refused:
        parse_request(message(text("invalid")), HOME)
    assert refused.value.reason == (
        'the key "modelDeploymentname" is unknown; did you mean modelDeploymentName? (and 2 more problems)'
    )
    assert refused.value.request_id == "train-2026-11-23-44"
