"""What the decisions about all actions have in common: what was seen of a deployment, and the steps that every one knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from slipway.core.bedrock.deployments import Deployment
from slipway.core.bedrock.errors import CallFailed, Denied, Throttled
from slipway.core.lifecycle.outcomes import Outcome, OutcomeKind, Reason
from slipway.core.lifecycle.tags import DeploymentTags
from slipway.core.sqs.continuations import Decisions


@dataclass(frozen=True, slots=True)
class Found:
    """A deployment is there, and this is what its tags say."""

    deployment: Deployment
    slipway_tags: DeploymentTags


@dataclass(frozen=True, slots=True)
class NotFound:
    """Get found nothing at the last look."""


ABSENCES_TO_BELIEVE: Final = 5
"""Get may not show yet what was made a moment ago: 7 to 15 seconds lie between the first of so many looks and the last."""

Observation = Found | NotFound | None
"""None when it has not been looked, or the look is stale."""


@dataclass(frozen=True, slots=True)
class DeleteSent:
    """Bedrock took a call on whose end it does not answer."""


@dataclass(frozen=True, slots=True)
class Observe:
    """Get the deployment, and its tags where there is one."""


@dataclass(frozen=True, slots=True)
class DeleteDeployment:
    """Delete this deployment, by its ARN."""

    arn: str


@dataclass(frozen=True, slots=True)
class SendContinuation:
    """Write down what was decided, in a new message, before anything is done about it."""

    decisions: Decisions
    outcome_at_deadline: Outcome
    """How the request ends where there is no time for that any more."""


@dataclass(frozen=True, slots=True)
class RunSmokeTest:
    """Ask the deployment what the smoke test asks, and write down what came of it."""

    arn: str
    is_written: bool = True
    """On the deployment. Not where it is only adopted."""


@dataclass(frozen=True, slots=True)
class GetModel:
    """Get the state of the model: of this one, else of the one that was asked for."""

    model_arn: str = ""


@dataclass(frozen=True, slots=True)
class Poll:
    """Let a while pass, and Get the deployment: List does not show what is waited for."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Let time pass, longer with each trouble in a row, then go on."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The request has its outcome."""

    outcome: Outcome


def reason_for(failed: CallFailed) -> Reason:
    """Name the trouble that a failed look or sweep is."""
    match failed:
        case Throttled():
            return Reason.THROTTLED
        case Denied():
            return Reason.ACCESS_DENIED
        case _:
            return Reason.NO_ANSWER


def reused(request_id: str, deployment: Deployment) -> Outcome:
    """Return how a request ends whose `requestId` another request used, which made or updated the deployment."""
    text = (
        f"requestId {request_id!r} was used for another request: it made or updated {deployment.name!r}, and asked for"
        " something else; use a new requestId, or send exactly what was sent before"
    )
    return Outcome(OutcomeKind.REJECTED, Reason.NOT_UNDERSTOOD, text, deployment)


def not_created_by_slipway(deployment: Deployment, *, is_forced: bool, may_force: bool) -> Outcome | None:
    """Answer how a request ends that is about what Slipway did not make; None where force is said, and allowed."""
    if is_forced and may_force:
        return None
    whose = f"{deployment.name!r} was not made by Slipway"
    if is_forced:
        text = f"{whose}, and the setting allow_force is false; have it set, or do it by hand"
        return Outcome(OutcomeKind.FAILED, Reason.FORCE_NOT_ALLOWED, text, deployment)
    text = f"{whose}; say force, where the settings allow it, or do it by hand"
    return Outcome(OutcomeKind.FAILED, Reason.NOT_OURS, text, deployment)
