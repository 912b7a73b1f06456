"""Verdicts of smoke tests, and the models of customization jobs."""

from __future__ import annotations

import pytest

from slipway.core.bedrock import CustomizationJob, JobStatus
from slipway.core.call_errors import (
    CallFailed,
    Conflicting,
    Denied,
    QuotaFull,
    Refused,
    ResourceMissing,
    Throttled,
    UnknownResult,
)
from slipway.core.lifecycle.outcomes import OutcomeKind, Reason, SmokeTestResult
from slipway.core.lifecycle.steps import LONGEST_ANSWER, REFUSALS_TO_BELIEVE, Finish, Pause, ResolvedModel, decide_model, judge
from slipway.core.requests.models import SmokeTest

TEST = SmokeTest(prompt="Reply with the word ready.", expect="ready")


def a_failure(kind: type[CallFailed]) -> CallFailed:
    return kind("Converse", "SomeException", "why")


@pytest.mark.parametrize(
    ("expect", "answer", "passed"),
    [
        ("ready", "I am READY.", True),
        ("ready", "…", False),
        ("ready", "", False),
        (None, "anything", True),
        (None, " \n", False),
        ("a.c", "abc", False),
        ("Straße", "STRASSE", True),
    ],
)
def test_the_answer_contains_what_was_expected_or_not(expect: str | None, answer: str, *, passed: bool) -> None:
    assert judge(SmokeTest(prompt="?", expect=expect), answer, 0) == SmokeTestResult(passed, answer)


def test_a_long_answer_is_cut() -> None:
    smoke_result = judge(SmokeTest(prompt="?"), "x" * 9999, 0)
    assert isinstance(smoke_result, SmokeTestResult)
    assert len(smoke_result.text) == LONGEST_ANSWER


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Refused, Reason.SMOKE_TEST),
        (ResourceMissing, Reason.SMOKE_TEST),
        (Conflicting, Reason.SMOKE_TEST),
        (Throttled, Reason.THROTTLED),
        (Denied, Reason.ACCESS_DENIED),
        (UnknownResult, Reason.NO_ANSWER),
        (QuotaFull, Reason.NO_ANSWER),
    ],
)
def test_no_answer_is_waited_for_and_only_a_refusal_is_believed_at_last(kind: type[CallFailed], reason: Reason) -> None:
    step = judge(TEST, a_failure(kind), 1)
    assert isinstance(step, Pause)
    assert step.reason is reason
    last = judge(TEST, a_failure(kind), REFUSALS_TO_BELIEVE)
    assert isinstance(last, SmokeTestResult) == (kind in {Refused, ResourceMissing})
    assert not isinstance(last, SmokeTestResult) or not last.passed


JOB = "arn:aws:bedrock:us-east-1:123456789012:model-customization-job/amazon.nova-lite-v1:0:300k/abcdefghijkl"
MODEL = JOB.replace("model-customization-job", "custom-model")


def test_a_completed_job_knows_its_model() -> None:
    assert decide_model("name", CustomizationJob(JOB, JobStatus.COMPLETED, MODEL)) == ResolvedModel(MODEL)


@pytest.mark.parametrize("status", [JobStatus.IN_PROGRESS, JobStatus.STOPPING, JobStatus.UNKNOWN, JobStatus.COMPLETED])
def test_a_job_without_its_model_is_waited_for(status: JobStatus) -> None:
    step = decide_model("name", CustomizationJob(JOB, status))
    assert isinstance(step, Pause)
    assert step.reason is Reason.MODEL_NOT_ACTIVE
    assert status.value in step.message


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.STOPPED])
def test_a_job_that_makes_none_is_an_outcome_with_its_words(status: JobStatus) -> None:
    step = decide_model("name", CustomizationJob(JOB, status, None, "no training data"))
    assert isinstance(step, Finish)
    assert (step.outcome.kind, step.outcome.reason) == (OutcomeKind.FAILED, Reason.MODEL_FAILED)
    assert step.outcome.message == f"the customization job {JOB} is {status.value}: no training data"


def test_a_job_that_does_not_exist_is_an_outcome() -> None:
    step = decide_model("no-such-job", None)
    assert isinstance(step, Finish)
    assert (step.outcome.reason, step.outcome.message) == (
        Reason.MODEL_NOT_FOUND,
        "customizationJob no-such-job does not exist",
    )


def test_a_status_is_read_in_any_case_and_an_unknown_one_waits() -> None:
    assert JobStatus.of("COMPLETED") is JobStatus.COMPLETED
    assert JobStatus.of("Polishing") is JobStatus.UNKNOWN
