"""The model of a customization job: known, waited for, or never to come."""

from __future__ import annotations

import pytest

from slipway.core.lifecycle.model_job import CustomizationJob, JobStatus, ResolvedModel, decide_model
from slipway.core.lifecycle.outcomes import OutcomeKind, Reason
from slipway.core.lifecycle.steps import Finish, Pause

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
