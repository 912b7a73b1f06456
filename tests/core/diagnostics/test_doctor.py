"""Diagnoses: each thing that can be wrong, alone, and nothing wrong with what is right."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from slipway.core.bedrock import Deployment, ModelState, Status
from slipway.core.diagnostics import doctor as diagnosis
from slipway.core.diagnostics.doctor import DoctorFinding
from slipway.core.diagnostics.status import Backlog
from slipway.core.requests.targets import Home
from tests.simulator.simulation import MODEL

HOME = Home("aws", "123456789012", "us-east-1")
REDRIVE = {"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:dead", "maxReceiveCount": 5}
GOOD = {"MessageRetentionPeriod": "1209600", "DelaySeconds": "0", "SqsManagedSseEnabled": "true"}
DEAD = {"MessageRetentionPeriod": "1209600", "ApproximateNumberOfMessages": "0"}


def queue(**changed: Any) -> dict[str, str]:
    return GOOD | {"RedrivePolicy": json.dumps(REDRIVE)} | changed


def abouts(complaints: Iterable[DoctorFinding]) -> list[str]:
    found = list(complaints)
    assert all(one.text and one.remedy for one in found)
    return [one.about for one in found]


def test_what_is_right_has_nothing_wrong() -> None:
    assert abouts(diagnosis.of_queue(queue(), 7200.0)) == []
    assert abouts(diagnosis.of_queue(queue(SqsManagedSseEnabled="false", KmsMasterKeyId="alias/x"), 7200.0)) == []
    assert abouts(diagnosis.of_dead_letters(DEAD, queue())) == []
    assert abouts(diagnosis.of_subscribers(1)) == []
    assert abouts(diagnosis.of_home(HOME)) == []
    assert abouts([*diagnosis.of_clock(59.0), *diagnosis.of_clock(-59.0)]) == []
    assert abouts(diagnosis.of_fullness([deployment(Status.CREATING)], 1, 2)) == []
    assert abouts(diagnosis.of_fullness([deployment(Status.FAILED)] * 50, 0, 0)) == [], "what is learned is not known here"
    assert abouts(diagnosis.of_model(MODEL, ModelState.ACTIVE)) == []
    assert abouts(diagnosis.of_backlog(Backlog(3, 1, 0))) == []


@pytest.mark.parametrize(
    ("attributes", "about"),
    [
        (queue(MessageRetentionPeriod="345600"), "queue retention"),
        (queue(DelaySeconds="30"), "queue delay"),
        (queue(SqsManagedSseEnabled="false"), "queue encryption"),
        (queue(RedrivePolicy=""), "dead-letter queue"),
        (queue(RedrivePolicy=json.dumps(REDRIVE | {"maxReceiveCount": "2"})), "maxReceiveCount"),
    ],
)
def test_a_queue_that_is_not_right_in_one_thing(attributes: dict[str, str], about: str) -> None:
    assert abouts(diagnosis.of_queue(attributes, 7200.0)) == [about]


def test_a_retention_below_the_timeout_loses_requests_and_says_so() -> None:
    (complaint,) = diagnosis.of_queue(queue(MessageRetentionPeriod="3600"), 7200.0)
    assert "requests are lost" in complaint.text


def test_dead_letters_that_expire_first_or_wait_for_somebody() -> None:
    assert abouts(diagnosis.of_dead_letters(DEAD | {"MessageRetentionPeriod": "60"}, queue())) == ["dead-letter retention"]
    assert abouts(diagnosis.of_dead_letters(DEAD | {"ApproximateNumberOfMessages": "3"}, queue())) == ["dead letters"]


def test_places_clocks_and_slots() -> None:
    assert abouts(diagnosis.of_subscribers(0)) == ["topic"]
    assert abouts(diagnosis.of_home(Home("aws", "123456789012", "eu-west-1"))) == ["Region"]
    assert "ahead" in next(iter(diagnosis.of_clock(120.0))).text
    assert "behind" in next(iter(diagnosis.of_clock(-120.0))).text
    assert abouts(diagnosis.of_fullness([deployment(Status.FAILED)] * 2, 0, 2)) == ["slots"]
    assert abouts(diagnosis.of_fullness([deployment(Status.CREATING)] * 2, 1, 0)) == ["slots"]
    assert abouts(diagnosis.of_backlog(Backlog(3, 0, 0))) == ["daemon"]


@pytest.mark.parametrize("state", [ModelState.MISSING, ModelState.FAILED, ModelState.CREATING])
def test_a_model_that_cannot_be_deployed(state: ModelState) -> None:
    assert abouts(diagnosis.of_model(MODEL, state)) == ["model"]


def deployment(status: Status) -> Deployment:
    return Deployment(
        f"arn:aws:bedrock:us-east-1:{HOME.account}:custom-model-deployment/abcdefghijkl",
        "bot",
        MODEL,
        status,
        status.value,
        0.0,
    )


def test_queues_that_refuse_what_is_sent_to_them_are_found() -> None:
    usual = {"MessageRetentionPeriod": "1209600", "ApproximateNumberOfMessages": "0", "SqsManagedSseEnabled": "true"}
    small = usual | {"MaximumMessageSize": "1024"}
    assert "queue message size" in {one.about for one in diagnosis.of_queue(small, 60.0)}
    assert "queue message size" not in {one.about for one in diagnosis.of_queue(usual | {"MaximumMessageSize": "262144"}, 60.0)}
    found = {one.about for one in diagnosis.of_dead_letters(small | {"FifoQueue": "true"}, usual)}
    assert found == {"dead-letter message size", "dead-letter type"}
    assert not [*diagnosis.of_dead_letters(usual, usual)]


@pytest.mark.parametrize(
    ("allowed", "about"),
    [
        ({}, []),
        ({"redrivePermission": "allowAll"}, []),
        ({"redrivePermission": "denyAll"}, ["dead-letter permission"]),
        ({"redrivePermission": "byQueue", "sourceQueueArns": ["arn:other"]}, ["dead-letter permission"]),
        ({"redrivePermission": "byQueue", "sourceQueueArns": ["arn:other", "arn:requests"]}, []),
    ],
)
def test_a_dead_letter_queue_must_let_sqs_move_messages_there(allowed: dict[str, Any], about: list[str]) -> None:
    dead = DEAD | ({"RedriveAllowPolicy": json.dumps(allowed)} if allowed else {})
    assert abouts(diagnosis.of_redrive_permission(dead, queue(QueueArn="arn:requests"))) == about


def test_a_bedrock_api_key_of_another_account_is_found_by_what_it_lists() -> None:
    assert abouts(diagnosis.of_api_key([deployment(Status.ACTIVE)], HOME.account)) == []
    assert abouts(diagnosis.of_api_key([deployment(Status.ACTIVE)], "210987654321")) == [diagnosis.API_KEY]
