"""What askers are told, and that it fits, whatever the event says."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from slipway.core.bedrock.deployments import Deployment, Status
from slipway.core.events.callbacks import (
    BAD,
    GOOD,
    Copied,
    StepFailed,
    StepSucceeded,
    TaskFailed,
    TaskSucceeded,
    replies,
    stopped,
)
from slipway.core.events.publish import Publication, Times, announce_outcome, announce_rejection
from slipway.core.lifecycle.outcomes import Ending, Outcome, Reason
from slipway.core.requests.models import Deploy
from slipway.core.schema.rejection import NOBODY, Asker
from tests.support.bodies import ARN as MODEL

TASK, STEP, QUEUE = "AQCEAAAAKgAAAAMAAAAA", "Qk3vX9aZ1b", "https://sqs.us-east-1.amazonaws.com/123456789012/answers"
ALL = Asker(TASK, STEP, QUEUE)
ARN = "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abcdefghijkl"
REQUEST = Deploy(identity="i-1", request_id="r-1", name="bot", model_arn=MODEL, timeout=7200.0)
TIMES = Times(1_764_000_100.0, 1_764_000_000.0, 1_764_007_200.0)
SOURCE = "urn:slipway:123456789012:us-east-1"


def an_event(ending: Ending, message: str | None = None, reason: Reason | None = None) -> Publication:
    deployment = Deployment(ARN, "bot", MODEL, Status.ACTIVE, "Active", 1.0, 2.0, None)
    return announce_outcome(REQUEST, Outcome(ending, reason, message, deployment), TIMES, SOURCE)


def test_every_ending_is_good_or_bad() -> None:
    assert set(Ending) == GOOD | BAD
    assert not GOOD & BAD


def test_nobody_is_told_nothing() -> None:
    assert replies(NOBODY, an_event(Ending.ACTIVE)) == ()


def test_good_news() -> None:
    event = an_event(Ending.ACTIVE)
    task, step, copy = replies(ALL, event)
    assert isinstance(task, TaskSucceeded)
    assert (task.token, json.loads(task.output)) == (TASK, json.loads(event.body)["data"])
    assert isinstance(step, StepSucceeded)
    assert step.parameters == (
        ("customModelDeploymentArn", ARN),
        ("modelDeploymentName", "bot"),
        ("modelArn", MODEL),
        ("outcome", "Active"),
        ("requestId", "r-1"),
    )
    assert copy == Copied(QUEUE, event)


def test_bad_news_has_the_reason_as_its_word_and_the_message_as_its_sentence() -> None:
    task, step, _ = replies(ALL, an_event(Ending.FAILED, "no weights", Reason.DEPLOYMENT_FAILED))
    assert task == TaskFailed(TASK, "DeploymentFailed", "no weights")
    assert isinstance(step, StepFailed)
    assert step.reason == "DeploymentFailed: no weights"


def test_a_rejection_is_bad_news() -> None:
    task, *_ = replies(ALL, announce_rejection("m-1", None, "NotJson", "the body is empty", TIMES, SOURCE))
    assert task == TaskFailed(TASK, "NotUnderstood", "the body is empty")


@given(st.sampled_from(Ending), st.text(max_size=5000) | st.none(), st.sampled_from(Reason) | st.none())
def test_whatever_is_said_fits(ending: Ending, message: str | None, reason: Reason | None) -> None:
    event = an_event(ending, message, reason)
    assert replies(ALL, event) == replies(ALL, event)
    for reply in (*replies(ALL, event), stopped(STEP)):
        match reply:
            case TaskSucceeded(output=output):
                assert len(output.encode()) <= 262_144
            case TaskFailed(error=error, cause=cause):
                assert 0 < len(error) <= 256
                assert 0 < len(cause) <= 32_768
            case StepSucceeded(once=once, parameters=parameters):
                assert 32 <= len(once) <= 128
                assert len(parameters) <= 50
                assert all(len(name) <= 256 and len(value) <= 1024 for name, value in parameters)
            case StepFailed(once=once, reason=said):
                assert 32 <= len(once) <= 128
                assert 0 < len(said) <= 256
            case Copied():
                assert len(reply.publication.body.encode()) < 256 * 1024


def test_a_long_reason_is_cut_with_a_mark() -> None:
    _, step, _ = replies(ALL, an_event(Ending.TIMED_OUT, "x" * 1000, Reason.NO_SLOT))
    assert isinstance(step, StepFailed)
    assert len(step.reason) == 256
    assert step.reason.endswith("[cut]")
