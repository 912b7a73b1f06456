"""What a message asks for: all that is accepted, all that is refused, and what makes two messages the same request."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.core.lifecycle.tags import OWNER_TAG, RECEIVED_TAG, REQUEST_TAG, wanted_tags
from slipway.core.parsing import RequestRejected, client_token, parse_request, request_schema
from slipway.core.requests.fields import MOST_TAGS, OWN_TAGS
from slipway.core.requests.models import DEPLOY, FIELDS_OF, AnyRequest, Cancel, Delete, Deploy, Update
from slipway.core.requests.targets import Home, home_only
from slipway.core.schema.fields import value_problem
from slipway.core.schema.rejection import LONGEST_REASON
from slipway.core.sqs.continuations import Delivery, write_continuation
from tests.support.bodies import ARN, GOOD, HOME, MESSAGE_ID, NOW, eventbridge, json_values, message, requests, sns
from tests.support.poison import CODES, POISON, is_sendable

DEPLOYMENT = "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abcdefghijkl"
SCHEMA = jsonschema.Draft202012Validator(request_schema())
BY_NAME = {field.name: field for field in DEPLOY}
KEYS = sorted({field.name for fields in FIELDS_OF.values() for field in fields})
TAG_VALUE = BY_NAME["tags"].entry[1]


def a_deploy(body: object = GOOD, **other: Any) -> Deploy:
    request = parse_request(message(body, **other), HOME)
    assert isinstance(request, Deploy)
    return request


def unowned(request: AnyRequest) -> AnyRequest:
    """Return a request without its proof of ownership, which only a message gives."""
    assert request.owner
    return replace(request, owner="")


def test_the_least_request() -> None:
    assert unowned(parse_request(message(), HOME)) == Deploy(
        identity=MESSAGE_ID,
        request_id=MESSAGE_ID,
        name="support-bot-v42",
        model_arn=ARN,
        description=None,
        tags=(),
        timeout=7200.0,
        priority=0,
        tenant=None,
    )


def test_the_most_request() -> None:
    body = GOOD | {
        "action": "deploy",
        "description": "a\ttab and \U0001f680",
        "tags": [{"key": "team", "value": "support"}, {"key": "Team", "value": ""}],
        "clientRequestToken": "token-1",
        "requestId": "train 42",
        "timeout": "PT90M",
        "priority": -100,
        "tenant": "support",
    }
    assert unowned(parse_request(message(body), HOME)) == Deploy(
        identity="token-1",
        request_id="train 42",
        name="support-bot-v42",
        model_arn=ARN,
        description="a\ttab and \U0001f680",
        tags=(("team", "support"), ("Team", "")),
        timeout=5400.0,
        priority=-100,
        tenant="support",
    )


@pytest.mark.parametrize("named", ["support-bot-v42", DEPLOYMENT])
def test_a_delete(named: str) -> None:
    body = {"action": "delete", "customModelDeploymentIdentifier": named, "requestId": "r-1"}
    request = Delete(identity="r-1", request_id="r-1", name=named, timeout=7200.0)
    assert unowned(parse_request(message(body), HOME)) == request
    assert unowned(parse_request(message(body | {"force": True}), HOME)) == replace(request, force=True)
    assert request.is_by_arn == named.startswith("arn:")


def test_a_cancel() -> None:
    body = {"action": "cancel", "cancels": "r-1", "requestId": "c-1"}
    request = Cancel(identity="c-1", request_id="c-1", name="r-1", timeout=600.0)
    assert unowned(parse_request(message(body), HOME)) == request
    assert unowned(parse_request(message(body | {"deployment": "delete"}), HOME)) == replace(request, delete=True)
    assert unowned(parse_request(message(body | {"timeout": 3600}), HOME)) == replace(request, timeout=3600.0)


def test_what_expires_is_not_tried_for_longer() -> None:
    assert a_deploy(GOOD | {"expiresAfter": "P7D"}).expires_after == 7 * 86_400
    assert a_deploy(GOOD | {"expiresAfter": "P7D"}).timeout == 7200
    assert a_deploy(GOOD | {"expiresAfter": "PT1H"}).timeout == 3600


def test_an_update() -> None:
    body = {"action": "update", "customModelDeploymentIdentifier": "bot", "modelArn": ARN, "requestId": "r-1"}
    request = Update(identity="r-1", request_id="r-1", name="bot", model_arn=ARN, timeout=7200.0)
    assert unowned(parse_request(message(body), HOME)) == request
    assert unowned(parse_request(message(body | {"rollback": True, "force": True}), HOME)) == replace(
        request, rollback=True, force=True
    )


@settings(max_examples=200)
@given(requests())
def test_whatever_the_tables_describe_is_understood_and_fits_the_schema(body: dict[str, Any]) -> None:
    request = parse_request(message(body), HOME)
    assert request.action == body.get("action", "deploy")
    assert request.name in body.values()
    SCHEMA.validate(body)


@settings(max_examples=200)
@given(requests(), st.sampled_from([*KEYS, "other"]), json_values())
def test_whatever_is_understood_fits_the_schema_and_nothing_else_is_raised(body: dict[str, Any], key: str, value: Any) -> None:
    body[key] = value
    try:
        request = parse_request(message(body), HOME)
    except RequestRejected as refused:
        check_reason(refused)
    else:
        SCHEMA.validate(body)
        assert value_problem(TAG_VALUE, request.request_id) is None


@settings(max_examples=200)
@given(st.one_of(json_values().map(json.dumps), st.text(st.characters())))
def test_any_body_is_parsed_or_rejected(text: str) -> None:
    for body in (text, json.dumps(sns(text)), json.dumps(eventbridge(text))):
        with pytest.raises(RequestRejected) as refused:
            parse_request(message(body), HOME)
        check_reason(refused.value)


def check_reason(refused: RequestRejected) -> None:
    assert 0 < len(refused.reason) <= LONGEST_REASON
    assert refused.reason.isprintable()
    assert re.fullmatch(r"[A-Z][A-Za-z]+", refused.code)
    assert refused.field is None or refused.field.isprintable()


@pytest.mark.parametrize(("name", "body"), POISON, ids=[name for name, _ in POISON])
def test_poison_is_refused_with_a_reason(name: str, body: str) -> None:
    with pytest.raises(RequestRejected) as refused:
        parse_request(message(body), HOME)
    assert refused.value.code == CODES[name]
    check_reason(refused.value)
    assert "; " in refused.value.reason, "a remedy follows what is wrong"
    if refused.value.field:
        assert refused.value.field.rpartition(".")[2] in refused.value.reason


def test_most_of_the_poison_can_be_sent_over_sqs() -> None:
    unsendable = {name for name, body in POISON if not is_sendable(body)}
    assert unsendable == {"empty", "log injection", "raw NUL in a string", "lone surrogate, raw"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            GOOD | {"modelDeploymentname": "a"},
            'the key "modelDeploymentname" is unknown; did you mean modelDeploymentName?',
        ),
        (
            {"modelDeploymentName": "a--b", "modelArn": ARN},
            (
                'modelDeploymentName is "a--b", which does not have the right form; '
                "use 1 to 63 letters and digits, with single - or _ after any of them"
            ),
        ),
        (
            GOOD | {"modelArn": ARN.replace("123456789012", "210987654321")},
            (
                "modelArn is in account 210987654321, but this daemon deploys in account 123456789012; "
                "use a model in 123456789012, or send the request to a daemon in 210987654321"
            ),
        ),
        (
            GOOD | {"modelArn": ARN.replace("us-east-1", "eu-west-1").replace("aws:", "aws-cn:", 1)},
            (
                "modelArn is in partition aws-cn, but this daemon deploys in partition aws; "
                "use a model in aws, or send the request to a daemon in aws-cn (and 1 more problem)"
            ),
        ),
        (
            GOOD | {"action": "destroy"},
            (
                'action is "destroy", not one of deploy, update, delete, cancel; '
                "use one of deploy, update, delete, cancel, or leave the key out to deploy"
            ),
        ),
        (
            {"action": "delete", "customModelDeploymentIdentifier": DEPLOYMENT.replace("us-east-1", "eu-west-1")},
            (
                "customModelDeploymentIdentifier is in Region eu-west-1, but this daemon deploys in Region us-east-1; "
                "use a deployment in us-east-1, or send the request to a daemon in eu-west-1"
            ),
        ),
        (
            GOOD | {"timeout": "P8D", "priority": 1000, "tenant": 7},
            (
                'timeout is "P8D", more than 604800 seconds; use 1 second to 7 days, like 90m, 1d, PT90M or 5400 '
                "(and 2 more problems)"
            ),
        ),
        (
            GOOD | {"tags": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]},
            'tags[1].key is "a", as in tags[0]; give each key once',
        ),
    ],
)
def test_reasons_name_the_field_the_fault_and_the_remedy(body: dict[str, Any], reason: str) -> None:
    with pytest.raises(RequestRejected) as refused:
        parse_request(message(body), HOME)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("given", "request_id"),
    [
        ({"requestId": "train-42"}, "train-42"),
        ({"requestId": "train-42", "clientRequestToken": "t"}, "train-42"),
        ({"clientRequestToken": "t"}, "t"),
        ({"requestId": "a\nb", "clientRequestToken": "t"}, "t"),
        ({"requestId": 7}, None),
        ({}, None),
    ],
)
def test_a_rejection_has_the_askers_own_id_where_it_can_be_read(given: dict[str, Any], request_id: str | None) -> None:
    with pytest.raises(RequestRejected) as refused:
        parse_request(message(given | {"modelArn": "wrong"}), HOME)
    assert refused.value.request_id == request_id


@pytest.mark.parametrize(
    ("given", "identity", "request_id"),
    [
        ({}, MESSAGE_ID, MESSAGE_ID),
        ({"requestId": "train 42"}, "train 42", "train 42"),
        ({"clientRequestToken": "token-1"}, "token-1", "token-1"),
        ({"clientRequestToken": "token-1", "requestId": "train 42"}, "token-1", "train 42"),
    ],
)
def test_identity_outlives_redelivery_and_continuation(given: dict[str, Any], identity: str, request_id: str) -> None:
    first = message(GOOD | given)
    handed_on = write_continuation(Delivery.of(first), is_fifo=False)
    for arrived in (
        first,
        message(GOOD | given, receive_count=9, receipt="r2"),
        message(handed_on.body, attributes=handed_on.attributes, message_id="another"),
    ):
        request = parse_request(arrived, HOME)
        assert (request.identity, request.request_id) == (identity, request_id)


def test_a_strange_message_id_is_made_fit_for_a_tag() -> None:
    request = parse_request(message(message_id="<é>\n" + "x" * 300), HOME)
    assert request.request_id == "____" + "x" * 252
    assert wanted_tags(a_deploy(message_id="<é>\n" + "x" * 300), NOW)[0] == (REQUEST_TAG, request.request_id)


def test_the_default_timeout_is_the_callers() -> None:
    assert parse_request(message(), HOME, 60).timeout == 60
    assert parse_request(message(GOOD | {"timeout": 90}), HOME, 60).timeout == 90


def test_home_may_be_in_any_partition() -> None:
    arn = "arn:aws-us-gov:bedrock:us-gov-west-1:000000000001:custom-model/imported/abcdefghijkl"
    home = home_only(Home("aws-us-gov", "000000000001", "us-gov-west-1"))
    understood = parse_request(message(GOOD | {"modelArn": arn}), home)
    assert isinstance(understood, Deploy)
    assert understood.model_arn == arn


def test_the_token_stays_the_same_for_ever() -> None:
    request = a_deploy(GOOD | {"requestId": "train-42"})
    assert client_token(request) == "slipway-f07406dbb39a1ee68f2ccf914b8d4d19d8aeeed67af35323a45932a63c29e278"
    assert client_token(request, 1) != client_token(request)


@given(requests("deploy"), requests("deploy"))
def test_tokens_are_bedrocks_and_differ_where_the_request_does(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = a_deploy(one), a_deploy(other)
    for request in (first, second):
        assert value_problem(BY_NAME["clientRequestToken"], client_token(request)) is None
    said = [(each.identity, each.name, each.requested_model, each.owner) for each in (first, second)]
    assert (client_token(first) == client_token(second)) == (said[0] == said[1])


def test_tags_are_the_requesters_and_ours_and_no_more_than_bedrock_takes() -> None:
    tags = [{"key": f"k{number}", "value": str(number)} for number in range(MOST_TAGS - OWN_TAGS)]
    request = a_deploy(GOOD | {"requestId": "train-42", "tags": tags})
    wanted = wanted_tags(request, NOW)
    own = [(REQUEST_TAG, "train-42"), (RECEIVED_TAG, "2026-11-18T11:06:40.000Z"), (OWNER_TAG, request.owner)]
    assert wanted == [(tag["key"], tag["value"]) for tag in tags] + own
    with pytest.raises(RequestRejected):
        parse_request(message(GOOD | {"tags": [*tags, {"key": "one", "value": "too many"}]}), HOME)


def test_the_schema_is_a_schema_with_words_and_an_example_that_is_understood() -> None:
    schema: Any = request_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert [shape["title"] for shape in schema["oneOf"]] == list(FIELDS_OF)
    for each in schema["oneOf"]:
        assert all(shape["description"] and shape["examples"] for shape in each["properties"].values())
    for example in schema["examples"]:
        SCHEMA.validate(example)
        assert parse_request(message(example), HOME).name
    for field in (field for fields in FIELDS_OF.values() for field in fields):
        assert all(value_problem(field, value) is None for value in field.examples), field.name


def test_the_schema_names_only_properties_that_stand_beside_as_strict_validators_demand() -> None:
    def check(schema: Any) -> None:
        if isinstance(schema, dict):
            assert set(schema.get("required", ())) <= set(schema.get("properties", ())), schema
        for each in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
            check(each)

    check(request_schema())


def test_both_spellings_of_a_task_token_are_one_key() -> None:
    for key in ("taskToken", "TaskToken"):
        body = GOOD | {key: "AQCEAAAAKg"}
        SCHEMA.validate(body)
        assert a_deploy(body).reply_target.task_token == "AQCEAAAAKg"
    both = GOOD | {"taskToken": "AQCEAAAAKg", "TaskToken": "AQCEAAAAKg"}
    assert not SCHEMA.is_valid(both)
    with pytest.raises(RequestRejected, match="TaskToken"):
        parse_request(message(both), HOME)


@pytest.mark.parametrize("key", ["prompt", "expect"])
@pytest.mark.parametrize("blank", [" ", "   ", "\t", "\n\n", "\u00a0", "\u3000", "\u200b", "\ufeff", " \t\n\u2003"])
def test_a_smoke_test_of_white_space_is_refused(key: str, blank: str) -> None:
    body = GOOD | {"smokeTest": {"prompt": "Reply."} | {key: blank}}
    assert not SCHEMA.is_valid(body)
    with pytest.raises(RequestRejected, match=rf"smokeTest\.{key} .*not only spaces"):
        parse_request(message(body), HOME)
    body["smokeTest"][key] = f"{blank}ready{blank}"
    SCHEMA.validate(body)
    assert parse_request(message(body), HOME).name


@pytest.mark.parametrize(
    "partition", ["aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f"]
)
def test_a_job_may_be_in_any_partition_that_botocore_takes(partition: str) -> None:
    job = f"arn:{partition}:bedrock:eusc-de-east-1:123456789012:model-customization-job/amazon.nova-lite-v1:0:300k/abcdefghijkl"
    body = {"modelDeploymentName": "bot", "customizationJob": job}
    SCHEMA.validate(body)
    home = home_only(Home(partition, "123456789012", "eusc-de-east-1"))
    request = parse_request(message(body), home)
    assert isinstance(request, Deploy)
    assert request.requested_model == job
    for wrong in ("amazon", "aws_eusc", "aws-"):
        with pytest.raises(RequestRejected, match="customizationJob"):
            parse_request(message(body | {"customizationJob": job.replace(partition, wrong, 1)}), home)


@pytest.mark.parametrize(("name", "body"), [row for row in POISON if CODES[row[0]] in {"UnknownKey", "MissingField"}])
def test_the_schema_too_refuses_wrong_keys(name: str, body: str) -> None:
    assert not SCHEMA.is_valid(json.loads(body)), name
