"""Triggers: what is made of an event, what a wrong file is told, and that an event twice is one request."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.core.parsing import NoMatchingTrigger, client_token, parse_request
from slipway.core.requests.fields import NAME
from slipway.core.requests.models import Deploy
from slipway.core.rules.triggers import (
    MissingPlaceholder,
    Template,
    Trigger,
    WrongTemplate,
    WrongTriggers,
    deployment_name,
    read_triggers,
)
from slipway.core.schema.fields import value_problem
from slipway.core.schema.rejection import RequestRejected
from slipway.settings.load import load_triggers
from tests.support.bodies import ARN, HOME, eventbridge, message, sns
from tests.support.readme import ROOT

RULES = """
[[trigger]]
name = "trained"
pattern = '{"source": ["com.example.training"], "detail": {"status": ["Done"]}}'
[trigger.request]
modelDeploymentName = "{detail.run}"
modelArn = "{$.detail.model}"
tags = [{ key = "run", value = "run {detail.run} of {detail.number} {detail.isFinal}" }]
priority = "{detail.number}"

[[trigger]]
name = "whole"
pattern = '{"detail": {"modelDeploymentName": [{"exists": true}]}}'
request = "{detail}"
"""
DETAIL: dict[str, Any] = {"status": "Done", "run": "a.run--7", "model": ARN, "number": 7, "isFinal": True}


BEDROCKS_SAMPLE = """{
  "version": "0", "id": "b2b9e7a0-1111-2222-3333-444455556666", "detail-type": "Model Customization Job State Change",
  "source": "aws.bedrock", "account": "123456789012", "time": "2023-11-24T03:22:37Z", "region": "us-east-1",
  "resources": ["arn:aws:bedrock:us-east-1:123456789012:model-customization-job/abcdefghwxyz"],
  "detail": {
    "version": "0.0", "jobName": "abcd-wxyz", "jobStatus": "Completed", "failureMessage": "",
    "jobArn": "arn:aws:bedrock:us-east-1:123456789012:model-customization-job/abcdefghwxyz",
    "outputModelName": "dummy-output-model-name",
    "outputModelArn": "arn:aws:bedrock:us-east-1:123456789012:dummy-output-model-name"
  }
}"""
"""As Bedrock's guide has it, for a job that has completed."""
SAGEMAKERS_SAMPLE = """{
  "version": "0", "id": "844e2571-85d4-695f-b930-0153b71dcb42", "detail-type": "SageMaker Model Package State Change",
  "source": "aws.sagemaker", "account": "123456789012", "time": "2021-02-24T17:00:14Z", "region": "us-east-1",
  "resources": ["arn:aws:sagemaker:us-east-1:123456789012:model-package/versionedmp-p-idy6c3e1fiqj/2"],
  "source": ["arn:aws:sagemaker:us-east-1:123456789012:model-package/versionedmp-p-idy6c3e1fiqj/2"],
  "detail": {
    "ModelPackageGroupName": "versionedmp-p-idy6c3e1fiqj", "ModelPackageVersion": 2, "ModelApprovalStatus": "Approved",
    "CustomerMetadataProperties": {"bedrockModelArn": "%s"}
  }
}"""
"""With the key `source` twice, as in SageMaker's guide."""


def test_the_rules_that_come_along_understand_the_samples_in_the_guides_of_aws() -> None:
    shipped = load_triggers(str(ROOT / "config" / "triggers.toml"))
    deploy = parse_request(message(BEDROCKS_SAMPLE), HOME, triggers=shipped)
    assert isinstance(deploy, Deploy)
    assert (deploy.name, deploy.requested_model) == ("abcd-wxyz", "abcd-wxyz")
    package = parse_request(message(SAGEMAKERS_SAMPLE % ARN), HOME, triggers=shipped)
    assert isinstance(package, Deploy)
    assert (package.name, package.requested_model) == ("versionedmp-p-idy6c3e1fiqj-v2", ARN)


@pytest.mark.parametrize(
    "body",
    [
        BEDROCKS_SAMPLE.replace('"version": "0",', '"version": "0", "id": "x",'),
        BEDROCKS_SAMPLE.replace('"jobName"', '"jobStatus": "Failed", "jobName"'),
        SAGEMAKERS_SAMPLE.replace('"version": "0",', '"version": "0", "id": "x",'),
        '{"source": "a", "source": "a", "detail": {}}',
    ],
)
def test_nothing_else_of_an_event_may_be_there_twice(body: str) -> None:
    with pytest.raises(RequestRejected, match="is given twice"):
        parse_request(message(body), HOME, triggers=rules())


def rules(text: str = RULES) -> tuple[Trigger, ...]:
    return read_triggers(tomllib.loads(text))


def event(**changes: Any) -> dict[str, object]:
    return eventbridge(DETAIL | changes) | {"id": "e-1"}


def asked_by(body: object, **more: Any) -> Deploy:
    request = parse_request(message(body, **more), HOME, triggers=rules())
    assert isinstance(request, Deploy)
    return request


def test_an_event_becomes_the_request_that_its_rule_describes() -> None:
    request = asked_by(event())
    assert (request.name, request.model_arn, request.priority) == ("a-run-7", ARN, 7)
    assert request.tags == (("run", "run a.run--7 of 7 true"),)
    assert (request.request_id, request.identity, request.trigger) == ("e-1", "e-1", "trained")
    assert request.needs_model_status


def test_the_same_event_in_another_message_is_the_same_request() -> None:
    first, other = asked_by(event(), message_id="m-1"), asked_by(sns(json.dumps(event())), message_id="m-2")
    assert first == other
    assert client_token(first) == client_token(other)


def test_a_rule_may_take_the_whole_request_from_the_event() -> None:
    body = eventbridge({"modelDeploymentName": "bot", "modelArn": ARN, "requestId": "own"})
    request = parse_request(message(body), HOME, triggers=rules())
    assert (request.name, request.request_id, request.trigger) == ("bot", "own", "whole")


def test_the_first_rule_that_matches_decides() -> None:
    assert parse_request(message(event(modelDeploymentName="bot")), HOME, triggers=rules()).trigger == "trained"


def test_an_event_that_no_rule_matches_is_no_fault() -> None:
    with pytest.raises(NoMatchingTrigger, match=r"no trigger matches Model Trained of com\.example\.training"):
        parse_request(message(event(status="Running")), HOME, triggers=rules())


def test_what_is_no_event_is_a_request_with_triggers_too() -> None:
    assert parse_request(message(), HOME, triggers=rules()) == parse_request(message(), HOME)


def test_an_event_without_what_the_rule_takes_is_told_rule_and_placeholder() -> None:
    with pytest.raises(RequestRejected) as refused:
        parse_request(message(event(model=None)), HOME, triggers=rules())
    assert refused.value.reason == (
        'trigger "trained" cannot fill request.modelArn: the event has no value for {$.detail.model}; '
        "fix the trigger, or narrow its pattern"
    )
    assert (refused.value.code, refused.value.field, refused.value.request_id) == ("TriggerUnfilled", "request.modelArn", "e-1")


def test_a_request_that_a_rule_made_wrong_is_told_which_rule() -> None:
    with pytest.raises(RequestRejected, match=r'^trigger "trained" made an invalid request: modelArn has 8') as refused:
        parse_request(message(event(model="nonsense")), HOME, triggers=rules())
    assert refused.value.request_id == "e-1"


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("plain", "plain"),
        ("{{x}}", "{x}"),
        ("{detail.number}", 7),
        ("{detail}", DETAIL),
        ("n{detail.number}/{detail.run}", "n7/a.run--7"),
        (["{detail.number}", {"key": "{id}"}], [7, {"key": "e-1"}]),
        (5, 5),
    ],
    ids=str,
)
def test_templates(template: object, filled: object) -> None:
    assert Template(template).fill(event()) == filled


@pytest.mark.parametrize("keys", [("Key", "Value"), ("key", "value")])
def test_a_step_into_a_list_is_an_index_or_the_key_of_a_tag(keys: tuple[str, str]) -> None:
    tags = [dict(zip(keys, pair, strict=True)) for pair in (("team", "search"), ("model", "m-1"))]
    told = {"detail": {"Tags": tags, "list": ["a", "b"]}}
    assert Template("{detail.Tags.model}, {detail.list.1}").fill(told) == "m-1, b"
    for path in ("detail.Tags.other", "detail.list.2", "detail.list.x", "detail.Tags.model.deeper"):
        with pytest.raises(MissingPlaceholder, match=f"the event has no value for {{{path}}}"):
            Template(f"{{{path}}}").fill(told)


def test_an_object_cannot_stand_within_a_text() -> None:
    with pytest.raises(MissingPlaceholder, match=r"an object for \{detail\}, which cannot be part of a text"):
        Template("x{detail}").fill(event())


@pytest.mark.parametrize("text", ["{", "a}", "{a", "{}", "{a..b}", "{ a}", "{a{b}}"])
def test_what_is_no_template(text: str) -> None:
    with pytest.raises(WrongTemplate, match=r"brace|not a path"):
        Template(text)


GOOD_RULE = "[[trigger]]\nname = 'a'\npattern = '{\"source\": [\"s\"]}'\nrequest = '{detail}'\n"
HEAD = "[[trigger]]\nname = 'a'\npattern = '{\"source\": [\"s\"]}'\n[trigger.request]\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"there is no rule; begin one with \[\[trigger\]\]"),
        ("[[triggers]]\n", r'the key "triggers" is unknown; begin each rule with \[\[trigger\]\]'),
        ("trigger = [5]", "rule 1 is not a table"),
        ("[[trigger]]\n", "rule 1: name is missing; use 1 to 64"),
        ("[[trigger]]\nname = 'a b'\n", 'rule 1: name is "a b"; use'),
        (GOOD_RULE * 2, 'rule 2: name "a" is used by an earlier rule'),
        ("[[trigger]]\nname = 'a'\npatern = ''\n", 'rule "a": the key "patern" is unknown; did you mean pattern?'),
        ("[[trigger]]\nname = 'a'\n", 'rule "a": pattern: is not an object'),
        ("[[trigger]]\nname = 'a'\npattern = '{'\n", 'rule "a": pattern: is not JSON'),
        ("[[trigger]]\nname = 'a'\npattern = {source = 's'}\n", 'rule "a": pattern: source: is "s", not a list'),
        ("[[trigger]]\nname = 'a'\npattern = {source = ['s']}\n", 'rule "a": request is missing'),
        (HEAD + "modelName = 'x'\n", 'rule "a": request.modelName is not a key of a request; did you mean'),
        (HEAD + "modelArn = '{detail'\n", 'rule "a": request.modelArn: .* brace'),
        (HEAD + "modelDeploymentName = '{id}'\ntimeout = 'PT9X'\n", 'rule "a": request.timeout is "PT9X", not a number'),
    ],
    ids=str,
)
def test_wrong_rules_are_refused_with_rule_and_key(text: str, said: str) -> None:
    with pytest.raises(WrongTriggers, match=said):
        rules(text)


@given(st.text(max_size=200))
def test_any_text_becomes_a_valid_name_or_none(text: str) -> None:
    name = deployment_name(text)
    assert name == "" or value_problem(NAME, name) is None
    assert deployment_name(name) == name


@given(st.from_regex(NAME.pattern or "", fullmatch=True).filter(lambda text: len(text) <= 63))
def test_a_valid_name_is_left_as_it_is(text: str) -> None:
    assert deployment_name(text) == text


def test_long_names_stay_apart() -> None:
    names = {deployment_name("x" * 70 + end) for end in ("a", "b")}
    assert len(names) == 2
    assert {len(name) for name in names} == {63}
