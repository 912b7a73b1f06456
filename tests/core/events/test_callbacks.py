"""What askers are told, and that it fits, whatever the event says."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from slipway.core.bedrock import Deployment, Status
from slipway.core.events.callbacks import (
    BAD,
    GOOD,
    EventCopy,
    StepFailed,
    StepSucceeded,
    TaskFailed,
    TaskSucceeded,
    callbacks_for,
    callbacks_for_stop,
)
from slipway.core.events.publish import Publication, Times, announce_outcome, announce_rejection
from slipway.core.lifecycle.outcomes import Outcome, OutcomeKind, Reason
from slipway.core.requests.models import Deploy
from slipway.core.schema.rejection import NO_REPLY, ReplyTo
from tests.support.bodies import ARN as MODEL

TASK, STEP, QUEUE = "AQCEAAAAKgAAAAMAAAAA", "Qk3vX9aZ1b", "https://sqs.us-east-1.amazonaws.com/123456789012/answers"
ALL = ReplyTo(TASK, STEP, QUEUE)
ARN = "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abcdefghijkl"
REQUEST = Deploy(identity="i-1", request_id="r-1", name="bot", model_arn=MODEL, timeout=7200.0)
TIMES = Times(1_764_000_100.0, 1_764_000_000.0, 1_764_007_200.0)
SOURCE = "urn:slipway:123456789012:us-east-1"


def an_event(kind: OutcomeKind, message: str | None = None, reason: Reason | None = None) -> Publication:
    deployment = Deployment(ARN, "bot", MODEL, Status.ACTIVE, "Active", 1.0, 2.0, None)
    return announce_outcome(REQUEST, Outcome(kind, reason, message, deployment), TIMES, SOURCE)


def test_every_ending_is_good_or_bad() -> None:
    assert set(OutcomeKind) == GOOD | BAD
    assert not GOOD & BAD


def test_nobody_is_told_nothing() -> None:
    assert callbacks_for(NO_REPLY, an_event(OutcomeKind.ACTIVE)) == ()


def test_good_news() -> None:
    event = an_event(OutcomeKind.ACTIVE)
    task, step, copy = callbacks_for(ALL, event)
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
    assert copy == EventCopy(QUEUE, event)


def test_bad_news_has_the_reason_as_its_word_and_the_message_as_its_sentence() -> None:
    task, step, _ = callbacks_for(ALL, an_event(OutcomeKind.FAILED, "no weights", Reason.DEPLOYMENT_FAILED))
    assert task == TaskFailed(TASK, "DeploymentFailed", "no weights")
    assert isinstance(step, StepFailed)
    assert step.reason == "DeploymentFailed: no weights"


def test_a_rejection_is_bad_news() -> None:
    task, *_ = callbacks_for(ALL, announce_rejection("m-1", None, "NotJson", "the body is empty", TIMES, SOURCE))
    assert task == TaskFailed(TASK, "NotUnderstood", "the body is empty")


@given(st.sampled_from(OutcomeKind), st.text(max_size=5000) | st.none(), st.sampled_from(Reason) | st.none())
def test_whatever_is_said_fits(kind: OutcomeKind, message: str | None, reason: Reason | None) -> None:
    event = an_event(kind, message, reason)
    assert callbacks_for(ALL, event) == callbacks_for(ALL, event)
    for reply in (*callbacks_for(ALL, event), callbacks_for_stop(STEP)):
        match reply:
            case TaskSucceeded(output=output):
                assert len(output.encode()) <= 262_144
            case TaskFailed(error=error, cause=cause):
                assert 0 < len(error) <= 256
                assert 0 < len(cause) <= 32_768
            case StepSucceeded(idempotency_token=once, parameters=parameters):
                assert 32 <= len(once) <= 128
                assert len(parameters) <= 50
                assert all(len(name) <= 256 and len(value) <= 1024 for name, value in parameters)
            case StepFailed(idempotency_token=once, reason=said):
                assert 32 <= len(once) <= 128
                assert 0 < len(said) <= 256
            case EventCopy():
                assert len(reply.publication.body.encode()) < 256 * 1024


def test_a_long_reason_is_cut_with_a_mark() -> None:
    _, step, _ = callbacks_for(ALL, an_event(OutcomeKind.TIMED_OUT, "x" * 1000, Reason.NO_SLOT))
    assert isinstance(step, StepFailed)
    assert len(step.reason) == 256
    assert step.reason.endswith("[cut]")
