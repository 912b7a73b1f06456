"""Observations of a deployment, and the steps that several `decide` functions return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from slipway.core.bedrock import Deployment
from slipway.core.call_errors import CallFailed, Denied, Throttled
from slipway.core.lifecycle.outcomes import Outcome, OutcomeKind, Reason
from slipway.core.lifecycle.tags import DeploymentTags
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
