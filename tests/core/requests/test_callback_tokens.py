"""How those ask who wait for the answer: every form comes to the same request, and whoever can be told is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from slipway.core.parsing import PipelineStopping, parse_request
from slipway.core.requests.envelopes import check_reply_target, permitted_reply_target
from slipway.core.requests.models import Deploy, SmokeTest
from slipway.core.schema.rejection import NO_REPLY, ReplyTo, RequestRejected
from tests.support.bodies import GOOD, HOME, eventbridge, message, sns

TASK, STEP = "AQCEAAAAKgAAAAMAAAAA", "Qk3vX9aZ1b"
QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/answers"
TOPIC = "arn:aws:sns:us-east-1:123456789012:answers.fifo"


def asker_of(body: object) -> ReplyTo:
    return parse_request(message(body), HOME).reply_target


def test_most_requests_are_nobodys_to_wait_for() -> None:
    assert asker_of(GOOD) == NO_REPLY


@pytest.mark.parametrize(
    "body",
    [
        GOOD | {"taskToken": TASK},
        GOOD | {"TaskToken": TASK},
        {"Input": GOOD, "TaskToken": TASK},
        {"input": GOOD, "taskToken": TASK},
        sns(json.dumps({"Input": GOOD, "TaskToken": TASK})),
        eventbridge(GOOD | {"TaskToken": TASK}),
    ],
    ids=str,
)
def test_a_task_may_put_its_token_beside_the_request_or_around_it(body: object) -> None:
    request = parse_request(message(body), HOME)
    assert request.reply_target == ReplyTo(task_token=TASK)
    assert request == parse_request(message(GOOD | {"taskToken": TASK}), HOME)


@pytest.mark.parametrize(
    "body",
    [
        GOOD | {"callbackToken": STEP},
        {"token": STEP, "status": "Executing", "arguments": GOOD},
        {"token": STEP, "pipelineExecutionArn": "arn", "stepName": "deploy", "status": "Executing", "arguments": GOOD},
        {"token": STEP, "inputs": GOOD},
        GOOD | {"token": STEP, "status": "Executing", "pipelineExecutionArn": "arn"},
    ],
    ids=str,
)
def test_a_pipeline_may_ask_as_it_always_does(body: object) -> None:
    assert parse_request(message(body), HOME) == parse_request(message(GOOD | {"callbackToken": STEP}), HOME)


def test_a_pipeline_writes_numbers_lists_and_objects_as_texts() -> None:
    said = {"priority": "7", "timeout": "5400", "tags": '[{"key": "team", "value": "x"}]', "tenant": "7"}
    said["smokeTest"] = '{"prompt": "Say ready.", "gate": false}'
    request = parse_request(message({"token": STEP, "arguments": GOOD | said}), HOME)
    assert isinstance(request, Deploy)
    assert (request.priority, request.timeout, request.tags, request.tenant) == (7, 5400.0, (("team", "x"),), "7")
    assert request.smoke_test == SmokeTest(prompt="Say ready.", gate=False)


def test_a_text_that_is_no_number_stays_for_the_check_to_name() -> None:
    with pytest.raises(RequestRejected, match="priority is the string") as refused:
        parse_request(message({"token": STEP, "arguments": GOOD | {"priority": "high"}}), HOME)
    assert refused.value.reply_target == ReplyTo(callback_token=STEP)


@pytest.mark.parametrize(
    "body", [{"token": STEP, "status": "Stopping"}, {"token": STEP, "status": "STOPPING", "arguments": GOOD}]
)
def test_a_pipeline_that_stops_asks_for_nothing_but_a_word(body: object) -> None:
    with pytest.raises(PipelineStopping) as stopping:
        parse_request(message(body), HOME)
    assert stopping.value.callback_token == STEP


def test_what_only_resembles_a_callback_is_none() -> None:
    with pytest.raises(RequestRejected, match='the key "token" is unknown'):
        parse_request(message(GOOD | {"token": "too long for one", "status": "Stopping"}), HOME)


@pytest.mark.parametrize(
    ("body", "reply_target"),
    [
        ({"TaskToken": TASK}, ReplyTo(task_token=TASK)),
        (GOOD | {"taskToken": ""}, NO_REPLY),
        (GOOD | {"taskToken": "x" * 2049}, NO_REPLY),
        (GOOD | {"replyTo": "everywhere"}, NO_REPLY),
        (GOOD | {"wrong": 1, "taskToken": TASK, "callbackToken": STEP, "replyTo": TOPIC}, ReplyTo(TASK, STEP, TOPIC)),
    ],
    ids=str,
)
def test_whoever_asks_wrongly_is_known_as_far_as_can_be(body: dict[str, Any], reply_target: ReplyTo) -> None:
    with pytest.raises(RequestRejected) as refused:
        parse_request(message(body), HOME)
    assert refused.value.reply_target == reply_target


def test_tokens_are_not_shown() -> None:
    assert TASK not in repr(asker_of(GOOD | {"taskToken": TASK}))


@pytest.mark.parametrize(
    ("allowed", "is_allowed"),
    [
        ((), False),
        (("*",), True),
        ((QUEUE,), True),
        (("https://sqs.us-east-1.amazonaws.com/123456789012/*",), True),
        (("https://sqs.us-east-1.amazonaws.com/999999999999/*", "arn:*"), False),
    ],
)
def test_answers_go_where_the_settings_allow_it(allowed: tuple[str, ...], *, is_allowed: bool) -> None:
    reply_target = ReplyTo(TASK, None, QUEUE)
    assert permitted_reply_target(reply_target, allowed) == (reply_target if is_allowed else ReplyTo(TASK))
    if is_allowed:
        check_reply_target(reply_target, allowed, "r-1")
    else:
        with pytest.raises(RequestRejected) as refused:
            check_reply_target(reply_target, allowed, "r-1")
        assert refused.value.reason == (
            f'replyTo "{QUEUE}" is not an allowed reply address; have the setting reply_to allow it, or leave the key out'
        )
        assert (refused.value.request_id, refused.value.reply_target) == ("r-1", ReplyTo(TASK))
