"""The model of a request that names a customization job: one pure function of the job's state."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from slipway.core.lifecycle.outcomes import Outcome, OutcomeKind, Reason
from slipway.core.lifecycle.steps import Finish, Pause


class JobStatus(StrEnum):
    """Status of a customization job. A status that AWS adds later is `UNKNOWN`, which means: wait."""

    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    UNKNOWN = "Unknown"

    @classmethod
    def of(cls, text: str) -> JobStatus:
        """Return the status with AWS's name, in upper or lower case."""
        return _BY_WORD.get(text.lower(), cls.UNKNOWN)


_BY_WORD: Final = {status.value.lower(): status for status in JobStatus}


@dataclass(frozen=True, slots=True)
class CustomizationJob:
    """A customization job as GetModelCustomizationJob returned it."""

    arn: str
    status: JobStatus
    model_arn: str | None = None
    """ARN of the model that the job created."""
    failure_message: str | None = None


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """The job created this model."""

    model_arn: str


def decide_model(identifier: str, job: CustomizationJob | None) -> ResolvedModel | Pause | Finish:
    """Return the model that a job created, a pause while it runs, or the end if there will be no model."""
    if job is None:
        return _failed(Reason.MODEL_NOT_FOUND, f"customizationJob {identifier} does not exist")
    match job.status:
        case JobStatus.COMPLETED if job.model_arn:
            return ResolvedModel(job.model_arn)
        case JobStatus.COMPLETED:
            return Pause(Reason.MODEL_NOT_ACTIVE, f"{job.arn} is Completed, but does not name its model yet")
        case JobStatus.FAILED | JobStatus.STOPPED:
            cause = f": {job.failure_message}" if job.failure_message else ""
            return _failed(Reason.MODEL_FAILED, f"the customization job {job.arn} is {job.status.value}{cause}")
        case _:
            return Pause(Reason.MODEL_NOT_ACTIVE, f"the customization job {job.arn} is {job.status.value}")


def _failed(reason: Reason, text: str) -> Finish:
    return Finish(Outcome(OutcomeKind.FAILED, reason, text))
