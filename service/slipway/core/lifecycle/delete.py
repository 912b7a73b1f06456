"""Every decision in the life of a delete request: one pure function from the known facts to the next step.

    Observe ──not found──▶ delete sent, or not found several times ──▶ Finish: Deleted (alreadyGone, if none was sent)
     ▲ │                   else Pause ──▶ Observe
     │ └─found───┬─ no Slipway tags in several observations, and not forced ──▶ Finish: Failed, NotOurs or ForceNotAllowed
     │           ├─ created for a later request ──▶ Finish: Deleted, alreadyGone
     │           ├─ updated for a later request ──▶ Finish: Failed, Superseded
     │           └─ else DeleteDeployment ──┬─ accepted ──────────────────────▶ Observe, until it is not found
     │                                      ├─ Conflicting ──▶ Pause (Busy) ──▶ Observe
     │                                      ├─ Refused several times ──▶ Finish: Failed, with the service's error
     └──────────────────────────────────────┴─ any other failure ──▶ Pause ───▶ Observe

Rules:
1. `Deleted` is reported after Get no longer finds the deployment, never because a delete was accepted.
2. A deployment that Slipway did not create is deleted only if the request and the settings both allow it.
3. The first observation fixes the ARN: a deployment created later under the same name is another one.
4. A redelivered delete may have been done and published before. It does not touch what a later request created or updated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from slipway.core.bedrock import Deployment, Status
from slipway.core.call_errors import CallFailed, Conflicting, Refused, ResourceMissing
from slipway.core.lifecycle.outcomes import Outcome, OutcomeKind, Reason
from slipway.core.lifecycle.steps import (
    ABSENCES_TO_BELIEVE,
    DeleteDeployment,
    DeleteSent,
    Finish,
    Found,
    NotFound,
    Observation,
    Observe,
    Pause,
    not_created_by_slipway,
    reason_for,
    reused,
)
from slipway.core.lifecycle.tags import EXPIRES_TAG, DeploymentTags
from slipway.core.requests.models import Delete
from slipway.core.requests.ownership import correlation, is_reused

REFUSALS_TO_BELIEVE: Final = 3
"""Refusals of the delete after which the request fails."""


@dataclass(frozen=True, slots=True)
class DeleteFacts:
    """Everything known of one delete request. Each `after_…` method returns the facts that follow from one result."""

    received: float
    """When the request was first received, in seconds since the epoch."""
    in_doubt: bool = False
    """The request was delivered before, and may have been done."""
    may_force: bool = False
    """The settings allow a request to delete a deployment that Slipway did not create."""
    target: Deployment | None = None
    """The deployment to delete, as last observed."""
    observation: Observation = None
    attempt: DeleteSent | CallFailed | None = None
    is_sent: bool = False
    """A delete was accepted, or may have been."""
    absences: int = 0
    """Observations that did not find the deployment."""
    times_found: int = 0
    """Observations in a row that found a deployment, counted up to `ABSENCES_TO_BELIEVE`: only then is a tag that they do not
    show believed to be absent, like a deployment."""
    refusals: int = 0
    failures: int = 0
    """Waits in a row without progress: the exponent of the backoff."""
    now: float = 0.0
    """When the last observation was made, by the queue's clock, in seconds since the epoch."""

    def after_observation(self, observation: Found | NotFound, now: float = 0.0) -> DeleteFacts:
        """Return the facts after Get and, if it found a deployment, ListTags."""
        if isinstance(observation, NotFound):
            return replace(self, observation=observation, attempt=None, absences=self.absences + 1)
        times_found = min(self.times_found + 1, ABSENCES_TO_BELIEVE)
        return replace(self, observation=observation, target=observation.deployment, times_found=times_found, now=now)

    def after_delete(self, attempt: DeleteSent | CallFailed) -> DeleteFacts:
        """Return the facts after a delete call. It makes every observation stale."""
        return replace(
            self,
            observation=None,
            attempt=attempt,
            is_sent=self.is_sent or isinstance(attempt, DeleteSent) or attempt.may_have_applied,
            refusals=self.refusals + isinstance(attempt, Refused),
            failures=self.failures + 1,
        )

    def after_pause(self) -> DeleteFacts:
        """Return the facts after a pause: observe and act again. The counts stay."""
        return replace(self, observation=None, attempt=None, failures=self.failures + 1)

    def after_failure(self) -> DeleteFacts:
        """Return the facts after an observation failed."""
        return replace(self, failures=self.failures + 1)


Step = Observe | DeleteDeployment | Pause | Finish


def decide(request: Delete, facts: DeleteFacts) -> Step:
    """Return the next step of a delete request. Total: every combination of facts has exactly one step."""
    match facts.observation:
        case NotFound():
            return _on_absence(request, facts)
        case Found() as found:
            return _on_existing(request, facts, found)
        case None:
            return _on_answer(facts)


def _on_absence(request: Delete, facts: DeleteFacts) -> Step:
    reason = Reason.EXPIRED if request.if_expired else None
    if facts.is_sent:
        return Finish(Outcome(OutcomeKind.DELETED, reason, deployment=facts.target))
    if facts.target is not None or facts.absences >= ABSENCES_TO_BELIEVE:
        text = f"{request.name} does not exist; there was nothing to delete"
        return Finish(Outcome(OutcomeKind.DELETED, reason, text, facts.target, already_gone=True))
    return Pause(Reason.DEPLOYMENT_MISSING, f"{request.name} is not found; it may have just been created")


def _on_existing(request: Delete, facts: DeleteFacts, found: Found) -> Step:
    deployment = found.deployment
    if found.slipway_tags.request is None and facts.times_found < ABSENCES_TO_BELIEVE:
        return Pause(Reason.DEPLOYMENT_MISSING, f"{deployment.name!r} shows no tags; it may have just been created")
    if found.slipway_tags.request is None and (
        refusal := not_created_by_slipway(deployment, is_forced=request.force, may_force=facts.may_force)
    ):
        return Finish(refusal)
    if facts.in_doubt and not facts.is_sent and found.slipway_tags.is_later_than(facts.received):
        if not found.slipway_tags.is_made_after(facts.received):
            text = f"{deployment.name!r} was updated for a request later than this delete; it is kept"
            return Finish(Outcome(OutcomeKind.FAILED, Reason.SUPERSEDED, text, deployment))
        text = f"{deployment.name!r} was created for a request later than this delete; it is kept"
        return Finish(Outcome(OutcomeKind.DELETED, message=text, already_gone=True))
    if not facts.is_sent and (objection := _objection(request, facts, found)):
        return Finish(objection)
    match facts.attempt:
        case DeleteSent():
            return Pause(Reason.BUSY, f"{deployment.arn} is being deleted")
        case Refused() as refused if facts.refusals >= REFUSALS_TO_BELIEVE and deployment.status is not Status.CREATING:
            return Finish(Outcome(OutcomeKind.FAILED, Reason.INVALID_REQUEST, str(refused), deployment))
        case Refused() | ResourceMissing() as refused:
            return Pause(Reason.BUSY, f"the delete was refused; trying again: {refused}")
        case _:
            return DeleteDeployment(deployment.arn)


def _objection(request: Delete, facts: DeleteFacts, found: Found) -> Outcome | None:
    """Return the outcome of a request that must not delete the deployment; None if it may."""
    if _is_reused(request, found.slipway_tags):
        return reused(request.request_id, found.deployment)
    expires = found.slipway_tags.expires
    if request.if_expired and (expires is None or expires > facts.now):
        text = f"the tag {EXPIRES_TAG} of {found.deployment.name!r} is absent or not in the past; the deployment is kept"
        return Outcome(OutcomeKind.FAILED, Reason.NOT_EXPIRED, text, found.deployment)
    return None


def _is_reused(request: Delete, slipway_tags: DeploymentTags) -> bool:
    """Return whether another payload under this `requestId` created or last updated the deployment."""
    by = slipway_tags.update.by if slipway_tags.update is not None else ""
    return slipway_tags.request == request.request_id or is_reused(by, correlation(request.request_id, request.owner))


def _on_answer(facts: DeleteFacts) -> Step:
    match facts.attempt:
        case None | DeleteSent() | Refused() | ResourceMissing():
            return Observe()
        case Conflicting() as failed:
            return Pause(Reason.BUSY, f"the deployment is being created or updated: {failed}")
        case failed:
            return Pause(reason_for(failed), str(failed))
