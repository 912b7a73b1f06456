"""Targets: who is meant, what is allowed there, and that nothing changes for whoever has only one."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.core.parsing import client_token, parse_request
from slipway.core.requests.models import Deploy
from slipway.core.requests.targets import DEFAULT, Home, Target, TargetRules, Targets, with_assumed_target
from slipway.core.schema.rejection import RequestRejected
from tests.support.bodies import ARN, GOOD, HOME, message

RESEARCH = Home("aws", "210987654321", "us-west-2")
THEIRS = ARN.replace("us-east-1:123456789012", "us-west-2:210987654321")
RULES = TargetRules(models=("*:custom-model/amazon.nova-lite-v1:*",), names=("research-*", "bot"))
TARGETS: Targets = {**HOME, "research": Target("research", RESEARCH, RULES)}
DEPLOYMENT = "arn:aws:bedrock:us-west-2:210987654321:custom-model-deployment/abcdefghijkl"


def a_deploy(**other: Any) -> Deploy:
    request = parse_request(message(GOOD | {"requestId": "r-1"} | other), TARGETS)
    assert isinstance(request, Deploy)
    return request


def refusal(body: dict[str, Any]) -> str:
    with pytest.raises(RequestRejected) as refused:
        parse_request(message(body), TARGETS)
    return f"{refused.value.code}: {refused.value.reason}"


def test_a_request_names_its_target_or_gets_the_default() -> None:
    assert a_deploy().target == a_deploy(target="default").target == DEFAULT
    assert a_deploy(target="research", modelArn=THEIRS, modelDeploymentName="bot").target == "research"


def test_what_makes_a_request_is_as_ever_in_the_default_target_and_another_elsewhere() -> None:
    here, there = a_deploy(), a_deploy(target="research", modelArn=THEIRS, modelDeploymentName="bot")
    assert here.payload_identity == ["r-1", "deploy", "support-bot-v42", ARN, f"owner {here.owner}"]
    assert there.payload_identity == ["r-1", "deploy", "bot", THEIRS, f"owner {there.owner}", "target research"]
    for action in ("update", "delete"):
        body = {"action": action, "customModelDeploymentIdentifier": "bot", "requestId": "r-1", "target": "research"}
        asked = parse_request(message(body | ({"modelArn": THEIRS} if action == "update" else {})), TARGETS)
        assert asked.payload_identity[-1] == "target research"
    same = Target("mirror", HOME[DEFAULT].home)
    twin = parse_request(message(GOOD | {"requestId": "r-1", "target": "mirror"}), {**HOME, "mirror": same})
    assert isinstance(twin, Deploy)
    assert client_token(twin) != client_token(here)
    assert twin.payload_identity != here.payload_identity


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (
            GOOD | {"target": "reserch"},
            'InvalidField: target "reserch" is not a target; use one of default, research',
        ),
        (
            GOOD | {"target": "a b"},
            'InvalidField: target is "a b", whose character 2 (" ", U+0020) is not allowed; use the name',
        ),
        (
            GOOD | {"modelArn": THEIRS},
            (
                "WrongAccount: modelArn is in account 210987654321, but this daemon deploys in account 123456789012; "
                "use a model in 123456789012, or use the target research"
            ),
        ),
        (
            GOOD | {"target": "research", "modelDeploymentName": "bot"},
            (
                "WrongAccount: modelArn is in account 123456789012, but target research deploys in account 210987654321; "
                "use a model in 210987654321, or use the target default"
            ),
        ),
        (
            GOOD | {"target": "research", "modelArn": THEIRS},
            (
                'NotAllowed: modelDeploymentName "support-bot-v42" is not allowed by the rule names of target research '
                "(research-*, bot); use a model or name that the target's rules allow, or another target"
            ),
        ),
        (
            {"modelDeploymentName": "bot", "modelArn": THEIRS.replace("lite", "pro"), "target": "research"},
            (
                'NotAllowed: modelArn "arn:aws:bedrock:us-west-2:210987654321:custom-model/amazo…" is not allowed by the rule '
                "models of target research (*:custom-model/amazon.nova-lite-v1:*); "
                "use a model or name that the target's rules allow, or another target"
            ),
        ),
        (
            {"action": "delete", "customModelDeploymentIdentifier": "theirs", "target": "research"},
            'NotAllowed: customModelDeploymentIdentifier "theirs" is not allowed by the rule names of target research',
        ),
        (
            {"action": "delete", "customModelDeploymentIdentifier": DEPLOYMENT, "target": "research"},
            (
                'NotAllowed: customModelDeploymentIdentifier "arn:aws:bedrock:us-west-2:210987654321:custom-model-deplo…" is '
                "not allowed by the rule names of target research (research-*, bot); use the deployment's name instead"
            ),
        ),
    ],
)
def test_what_a_target_is_not_or_does_not_allow_is_refused_with_the_remedy(body: dict[str, Any], sentence: str) -> None:
    assert refusal(body).startswith(sentence)


@pytest.mark.parametrize(
    ("patterns", "allowed", "forbidden"),
    [
        ((), ("a", "b-1"), ()),
        (("a-*",), ("a-", "a-1"), ("a", "ba-1")),
        (("*-prod",), ("x-prod",), ("x-prod-1",)),
        (("a*b*c", "d"), ("abc", "a-b-c", "d"), ("acb", "dd")),
        (("a.c",), ("a.c",), ("abc",)),
    ],
)
def test_patterns_are_of_the_whole_with_stars(
    patterns: tuple[str, ...], allowed: tuple[str, ...], forbidden: tuple[str, ...]
) -> None:
    target = Target("eu", RESEARCH, TargetRules(names=patterns))
    assert [target.name_fault(name) for name in allowed] == [None] * len(allowed)
    assert all(target.name_fault(name) for name in forbidden)


def test_who_only_knows_the_home_takes_another_target_to_be_where_the_arns_are() -> None:
    home = HOME[DEFAULT].home
    assert with_assumed_target(HOME, GOOD) == with_assumed_target(HOME, GOOD | {"target": DEFAULT}) == HOME
    assert with_assumed_target(HOME, GOOD | {"modelArn": THEIRS, "target": "eu"})["eu"].home == RESEARCH
    assert with_assumed_target(HOME, {"customModelDeploymentIdentifier": "bot", "target": "eu"})["eu"].home == home
    assert with_assumed_target(HOME, {"target": 5}) == HOME
    assert with_assumed_target(TARGETS, GOOD | {"target": "eu"}) == TARGETS, "whoever has the settings knows better"
