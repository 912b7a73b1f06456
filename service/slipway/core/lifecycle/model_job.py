"""The model of a request that was asked for by the customization job that makes it: one pure function of what the job is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from slipway.core.lifecycle.outcomes import Outcome, OutcomeKind, Reason
from slipway.core.lifecycle.steps import Finish, Pause


class JobStatus(StrEnum):
    """The status of a customization job. What AWS may add one day is `UNKNOWN`, and means: wait."""

    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    UNKNOWN = "Unknown"

    @classmethod
    def of(cls, text: str) -> JobStatus:
        """Read AWS's word, in any case."""
        return _BY_WORD.get(text.lower(), cls.UNKNOWN)


_BY_WORD: Final = {status.value.lower(): status for status in JobStatus}


@dataclass(frozen=True, slots=True)
class CustomizationJob:
    """A customization job as GetModelCustomizationJob told it."""

    arn: str
    status: JobStatus
    model_arn: str | None = None
    """Of the model that it has made."""
    failure_message: str | None = None


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """The job has made this model."""

    model_arn: str


def decide_model(identifier: str, job: CustomizationJob | None) -> ResolvedModel | Pause | Finish:
    """Say which model a job has made, that it is to be waited for, or that there will be none."""
    if job is None:
        return _ended(Reason.MODEL_NOT_FOUND, f"customizationJob {identifier} does not exist")
    match job.status:
        case JobStatus.COMPLETED if job.model_arn:
            return ResolvedModel(job.model_arn)
        case JobStatus.COMPLETED:
            return Pause(Reason.MODEL_NOT_ACTIVE, f"{job.arn} is Completed, but does not name its model yet")
        case JobStatus.FAILED | JobStatus.STOPPED:
            waiting_for = f": {job.failure_message}" if job.failure_message else ""
            return _ended(Reason.MODEL_FAILED, f"{job.arn}, which was to make the model, is {job.status.value}{waiting_for}")
        case _:
            return Pause(Reason.MODEL_NOT_ACTIVE, f"{job.arn}, which makes the model, is {job.status.value}")


def _ended(reason: Reason, text: str) -> Finish:
    return Finish(Outcome(OutcomeKind.FAILED, reason, text))
