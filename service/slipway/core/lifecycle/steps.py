"""Observations of a deployment, the steps that several `decide` functions return, and the decisions that they share.

Shared are the model that a customization job created, and the smoke test: the verdict on an answer or failure. Its result is
recorded before it has any effect: the model might answer a second prompt differently, and one request would have two outcomes.
The request that created or updated the deployment records it in a tag; one that adopted it, in a continuation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from slipway.core.bedrock import CustomizationJob, Deployment, JobStatus
from slipway.core.call_errors import CallFailed, Conflicting, Denied, Refused, ResourceMissing, Throttled
from slipway.core.lifecycle.outcomes import Outcome, OutcomeKind, Reason, SmokeTestResult
from slipway.core.lifecycle.tags import DeploymentTags, former_key, update_key
from slipway.core.requests.models import Request, SmokeTest
from slipway.core.sqs.continuations import Decisions


@dataclass(frozen=True, slots=True)
class Found:
    """An existing deployment with its Slipway tags."""

    deployment: Deployment
    slipway_tags: DeploymentTags


@dataclass(frozen=True, slots=True)
class NotFound:
    """Get found no deployment."""


ABSENCES_TO_BELIEVE: Final = 5
"""Observations after which an absence is believed: Get may show a new deployment late. With the pauses between them they take
7 to 15 seconds."""

Observation = Found | NotFound | None
"""None if there was no observation, or it is stale."""


@dataclass(frozen=True, slots=True)
class DeleteSent:
    """Bedrock accepted a delete or an update; its end is not known yet."""


@dataclass(frozen=True, slots=True)
class Observe:
    """Get the deployment and, if it exists, its tags."""


@dataclass(frozen=True, slots=True)
class DeleteDeployment:
    """Delete a deployment by its ARN."""

    arn: str


@dataclass(frozen=True, slots=True)
class SendContinuation:
    """Record decisions in a continuation before they are carried out."""

    decisions: Decisions
    outcome_at_deadline: Outcome
    """How the request ends if its deadline passes first."""


@dataclass(frozen=True, slots=True)
class RunSmokeTest:
    """Send the smoke test's prompt to the deployment, and record the result."""

    arn: str
    is_written: bool = True
    """Record it in a tag on the deployment. False for an adopted deployment."""


@dataclass(frozen=True, slots=True)
class GetModel:
    """Get the state of a model: `model_arn`, else the requested one."""

    model_arn: str = ""


@dataclass(frozen=True, slots=True)
class Poll:
    """Wait one sweep interval, then Get the deployment: List does not show the progress of an update."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait, longer after each failure in a row, then go on."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The request has its outcome."""

    outcome: Outcome


def reason_for(failed: CallFailed) -> Reason:
    """Return the reason for a wait after a failed read."""
    match failed:
        case Throttled():
            return Reason.THROTTLED
        case Denied():
            return Reason.ACCESS_DENIED
        case _:
            return Reason.NO_ANSWER


def reused(request_id: str, deployment: Deployment) -> Outcome:
    """Return the outcome of a request whose `requestId` an earlier request with another payload used for the deployment."""
    text = (
        f"requestId {request_id!r} was used by a request with another payload, which created or updated"
        f" {deployment.name!r}; use a new requestId, or send the same payload as before"
    )
    return Outcome(OutcomeKind.REJECTED, Reason.NOT_UNDERSTOOD, text, deployment)


def not_created_by_slipway(deployment: Deployment, *, is_forced: bool, may_force: bool) -> Outcome | None:
    """Return the outcome of a request for a deployment that Slipway did not create; None if force is set and allowed."""
    if is_forced and may_force:
        return None
    problem = f"{deployment.name!r} was not created by Slipway"
    if is_forced:
        text = f"{problem}, and the setting allow_force is false; have it set to true, or change the deployment by hand"
        return Outcome(OutcomeKind.FAILED, Reason.FORCE_NOT_ALLOWED, text, deployment)
    text = f"{problem}; set force in the request, which needs the setting allow_force, or change the deployment by hand"
    return Outcome(OutcomeKind.FAILED, Reason.NOT_OURS, text, deployment)


REFUSALS_TO_BELIEVE: Final = 10
"""Refusals after which the test fails. A deployment may refuse calls for a while after it becomes Active."""
LONGEST_ANSWER: Final = 1000


def recorded_result(tags: DeploymentTags, request: Request, *, is_former_version: bool = False) -> SmokeTestResult | None:
    """Return the result of this request's smoke test from the deployment's tags; None if there is none.

    With `is_former_version`, a version without owner tags may have written it.
    """
    keys = {update_key(request), former_key(request)} if is_former_version else {update_key(request)}
    return tags.smoke.smoke_result if tags.smoke is not None and tags.smoke.key in keys else None


def judge(test: SmokeTest, answer: str | CallFailed, refusals: int) -> SmokeTestResult | Pause:
    """Return the result that follows from an answer, or a pause before the next try. `refusals` includes this one."""
    if isinstance(answer, str):
        return SmokeTestResult(_is_expected(test, answer), answer[:LONGEST_ANSWER])
    match answer:
        case Refused() | ResourceMissing() if refusals >= REFUSALS_TO_BELIEVE:
            return SmokeTestResult(passed=False, text=f"no answer: {answer}")
        case Refused() | ResourceMissing() | Conflicting():
            return Pause(Reason.SMOKE_TEST, f"the deployment does not answer yet: {answer}")
        case _:
            return Pause(reason_for(answer), f"the smoke test waits: {answer}")


def _is_expected(test: SmokeTest, answer: str) -> bool:
    if test.expect is None:
        return bool(answer.strip())
    return test.expect.casefold() in answer.casefold()


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
