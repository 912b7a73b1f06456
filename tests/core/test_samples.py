"""The samples in `config/samples/` are what the documentation and the demo show: each is what its name says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from service.core.actions import Delete, Deploy
from service.core.request_fields import DEPLOY
from service.core.requests import Misunderstood, understand
from tests.bodies import HOME, message

SAMPLES = Path(__file__).parents[2] / "config" / "samples"
DEPLOYS = ("eventbridge-wrapped", "failing", "full", "plain", "sns-wrapped")
OTHERS = {"delete": Delete}


def text(name: str) -> str:
    return (SAMPLES / f"{name}.json").read_text("utf-8")


def test_each_sample_is_held_here() -> None:
    assert sorted(path.stem for path in SAMPLES.iterdir()) == sorted([*DEPLOYS, *OTHERS, "invalid"])


def a_deploy(name: str) -> Deploy:
    request = understand(message(text(name)), HOME)
    assert isinstance(request, Deploy)
    return request


@pytest.mark.parametrize("name", DEPLOYS)
def test_good_samples_are_understood(name: str) -> None:
    assert a_deploy(name).model_arn.startswith("arn:aws:bedrock:us-east-1:123456789012:custom-model/")


@pytest.mark.parametrize(("name", "kind"), OTHERS.items())
def test_samples_of_other_actions_are_understood(name: str, kind: type) -> None:
    assert isinstance(understand(message(text(name)), HOME), kind)


def test_samples_ask_for_different_deployments() -> None:
    asked = [a_deploy(name) for name in DEPLOYS]
    assert len({request.name for request in asked}) == len(asked)
    assert len({request.model_arn for request in asked}) == len(asked)


def test_the_failing_sample_has_a_name_that_the_stand_in_lets_fail() -> None:
    assert understand(message(text("failing")), HOME).name.startswith("fails-")


def test_the_full_sample_has_every_key() -> None:
    assert set(json.loads(text("full"))) == {field.name for field in DEPLOY}


def test_the_invalid_sample_is_refused_with_help() -> None:
    with pytest.raises(Misunderstood) as refused:
        understand(message(text("invalid")), HOME)
    assert refused.value.reason == (
        'the key "modelDeploymentname" is unknown; did you mean modelDeploymentName? (and 2 more problems)'
    )
    assert refused.value.request_id == "train-2026-11-23-44"
