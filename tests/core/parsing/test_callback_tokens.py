"""How those ask who wait for the answer: every form comes to the same request, and whoever can be told is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from slipway.core.parsing.callback_tokens import permitted, refuse_stranger
from slipway.core.parsing.parse import PipelineStopping, understand
from slipway.core.requests.models import Deploy, SmokeTest
from slipway.core.schema.rejection import NOBODY, Asker, Misunderstood
from tests.support.bodies import GOOD, HOME, eventbridge, message, sns

TASK, STEP = "AQCEAAAAKgAAAAMAAAAA", "Qk3vX9aZ1b"
QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/answers"
TOPIC = "arn:aws:sns:us-east-1:123456789012:answers.fifo"


def asker_of(body: object) -> Asker:
    return understand(message(body), HOME).asker


def test_most_requests_are_nobodys_to_wait_for() -> None:
    assert asker_of(GOOD) == NOBODY


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
    request = understand(message(body), HOME)
    assert request.asker == Asker(task_token=TASK)
    assert request == understand(message(GOOD | {"taskToken": TASK}), HOME)


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
    assert understand(message(body), HOME) == understand(message(GOOD | {"callbackToken": STEP}), HOME)


def test_a_pipeline_writes_numbers_lists_and_objects_as_texts() -> None:
    said = {"priority": "7", "timeout": "5400", "tags": '[{"key": "team", "value": "x"}]', "tenant": "7"}
    said["smokeTest"] = '{"prompt": "Say ready.", "gate": false}'
    request = understand(message({"token": STEP, "arguments": GOOD | said}), HOME)
    assert isinstance(request, Deploy)
    assert (request.priority, request.timeout, request.tags, request.tenant) == (7, 5400.0, (("team", "x"),), "7")
    assert request.smoke_test == SmokeTest(prompt="Say ready.", gate=False)


def test_a_text_that_is_no_number_stays_for_the_check_to_name() -> None:
    with pytest.raises(Misunderstood, match="priority is the string") as refused:
        understand(message({"token": STEP, "arguments": GOOD | {"priority": "high"}}), HOME)
    assert refused.value.asker == Asker(callback_token=STEP)


@pytest.mark.parametrize(
    "body", [{"token": STEP, "status": "Stopping"}, {"token": STEP, "status": "STOPPING", "arguments": GOOD}]
)
def test_a_pipeline_that_stops_asks_for_nothing_but_a_word(body: object) -> None:
    with pytest.raises(PipelineStopping) as stopping:
        understand(message(body), HOME)
    assert stopping.value.callback_token == STEP


def test_what_only_resembles_a_callback_is_none() -> None:
    with pytest.raises(Misunderstood, match='the key "token" is unknown'):
        understand(message(GOOD | {"token": "too long for one", "status": "Stopping"}), HOME)


@pytest.mark.parametrize(
    ("body", "asker"),
    [
        ({"TaskToken": TASK}, Asker(task_token=TASK)),
        (GOOD | {"taskToken": ""}, NOBODY),
        (GOOD | {"taskToken": "x" * 2049}, NOBODY),
        (GOOD | {"replyTo": "everywhere"}, NOBODY),
        (GOOD | {"wrong": 1, "taskToken": TASK, "callbackToken": STEP, "replyTo": TOPIC}, Asker(TASK, STEP, TOPIC)),
    ],
    ids=str,
)
def test_whoever_asks_wrongly_is_known_as_far_as_can_be(body: dict[str, Any], asker: Asker) -> None:
    with pytest.raises(Misunderstood) as refused:
        understand(message(body), HOME)
    assert refused.value.asker == asker


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
    asker = Asker(TASK, None, QUEUE)
    assert permitted(asker, allowed) == (asker if is_allowed else Asker(TASK))
    if is_allowed:
        refuse_stranger(asker, allowed, "r-1")
    else:
        with pytest.raises(Misunderstood) as refused:
            refuse_stranger(asker, allowed, "r-1")
        assert refused.value.reason == (
            f'replyTo "{QUEUE}" is not among the places that may be answered; let the setting reply_to allow it, or leave the '
            "key out"
        )
        assert (refused.value.request_id, refused.value.asker) == ("r-1", Asker(TASK))
