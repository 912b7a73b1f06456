"""Every choice in the life of a delete request: one pure function from what is known to the next step.

    Look ──absent──▶ sent, or absent again and again ──▶ Ended: Deleted (alreadyGone, if it was not sent)
     ▲ │             else Pause ──▶ Look
     │ └─exists──┬─ not ours at so many looks, and not forced ──▶ Ended: Failed, NotOurs or ForceNotAllowed
     │           ├─ made for a later request than this ──▶ Ended: Deleted, alreadyGone
     │           ├─ updated for a later one ──▶ Ended: Failed, Superseded
     │           └─ else Delete ──┬─ applied ───────────────────────────▶ Look, until it is absent
     │                            ├─ Conflicting ──▶ Pause (Busy) ──────▶ Look
     │                            ├─ Refused, and again ──▶ Ended: Failed, the service's verdict
     └────────────────────────────┴─ anything else ──▶ Pause ───────────▶ Look

Rules:
1. `Deleted` is said when Get says that it is gone, and never because a delete was accepted.
2. What Slipway did not make is deleted only when the request and the settings both say so.
3. The first look fixes the ARN: what is made afterwards under the same name is another deployment.
4. A redelivered delete may have been done, and answered, before. It leaves alone what was asked for after it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from slipway.core.bedrock.deployments import Deployment, Status
from slipway.core.bedrock.errors import CallFailed, Conflicting, Refused, ResourceMissing
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


@dataclass(frozen=True, slots=True)
class DeleteFacts:
    """All that is known of one request here and now. Each `after_…` answers the facts that follow from an answer."""

    received: float
    """When the request was first received, in seconds since the epoch."""
    in_doubt: bool = False
    """Somebody had it before, and may have done it."""
    may_force: bool = False
    """The settings let a request delete what Slipway did not make."""
    target: Deployment | None = None
    """What is to be deleted, as it was last seen."""
    observation: Observation = None
    attempt: DeleteSent | CallFailed | None = None
    is_sent: bool = False
    """A delete was taken on, or may have been."""
    absences: int = 0
    times_found: int = 0
    """Looks in a row that showed a deployment, as far as they are counted: a tag that is not shown is believed to be absent
    after `ABSENCES_TO_BELIEVE`, like a deployment."""
    refusals: int = 0
    failures: int = 0
    """Waits in a row without progress: what backs off."""
    now: float = 0.0
    """When it was last looked, by the queue's clock."""

    def after_observation(self, observation: Found | NotFound, now: float = 0.0) -> DeleteFacts:
        """What is known after Get (and, where it found something, its tags), at this time."""
        if isinstance(observation, NotFound):
            return replace(self, observation=observation, attempt=None, absences=self.absences + 1)
        times_found = min(self.times_found + 1, ABSENCES_TO_BELIEVE)
        return replace(self, observation=observation, target=observation.deployment, times_found=times_found, now=now)

    def after_delete(self, attempt: DeleteSent | CallFailed) -> DeleteFacts:
        """What is known after a delete: every look is stale now."""
        return replace(
            self,
            observation=None,
            attempt=attempt,
            is_sent=self.is_sent or isinstance(attempt, DeleteSent) or attempt.may_have_applied,
            refusals=self.refusals + isinstance(attempt, Refused),
            failures=self.failures + 1,
        )

    def after_pause(self) -> DeleteFacts:
        """Time has passed: look and try afresh, remembering how often."""
        return replace(self, observation=None, attempt=None, failures=self.failures + 1)

    def after_failure(self) -> DeleteFacts:
        """A look itself failed: nothing new is known, but it has been tried."""
        return replace(self, failures=self.failures + 1)


Step = Observe | DeleteDeployment | Pause | Finish


def decide(request: Delete, facts: DeleteFacts) -> Step:
    """Say what is next for a delete request. Total: every combination of facts has exactly one answer."""
    match facts.observation:
        case NotFound():
            return _on_absence(request, facts)
        case Found() as seen:
            return _on_existing(request, facts, seen)
        case None:
            return _on_answer(facts)


def _on_absence(request: Delete, facts: DeleteFacts) -> Step:
    reason = Reason.EXPIRED if request.if_expired else None
    if facts.is_sent:
        return Finish(Outcome(OutcomeKind.DELETED, reason, deployment=facts.target))
    if facts.target is not None or facts.absences >= ABSENCES_TO_BELIEVE:
        text = f"{request.name} is not there; nothing was to be done"
        return Finish(Outcome(OutcomeKind.DELETED, reason, text, facts.target, already_gone=True))
    return Pause(Reason.DEPLOYMENT_MISSING, f"{request.name} is not found; it may have been made a moment ago")


def _on_existing(request: Delete, facts: DeleteFacts, seen: Found) -> Step:
    deployment = seen.deployment
    if seen.slipway_tags.request is None and facts.times_found < ABSENCES_TO_BELIEVE:
        return Pause(Reason.DEPLOYMENT_MISSING, f"{deployment.name!r} shows no tags; it may have been made a moment ago")
    if seen.slipway_tags.request is None and (
        others := not_created_by_slipway(deployment, is_forced=request.force, may_force=facts.may_force)
    ):
        return Finish(others)
    if facts.in_doubt and not facts.is_sent and seen.slipway_tags.is_later_than(facts.received):
        if not seen.slipway_tags.is_made_after(facts.received):
            text = f"{deployment.name!r} was updated for a request that came after this delete; it is kept"
            return Finish(Outcome(OutcomeKind.FAILED, Reason.SUPERSEDED, text, deployment))
        text = f"what has the name {deployment.name!r} now was asked for after this delete was; it is kept"
        return Finish(Outcome(OutcomeKind.DELETED, message=text, already_gone=True))
    if not facts.is_sent and (objection := _objection(request, facts, seen)):
        return Finish(objection)
    match facts.attempt:
        case DeleteSent():
            return Pause(Reason.BUSY, f"{deployment.arn} is being deleted")
        case Refused() as refused if facts.refusals >= REFUSALS_TO_BELIEVE and deployment.status is not Status.CREATING:
            return Finish(Outcome(OutcomeKind.FAILED, Reason.INVALID_REQUEST, str(refused), deployment))
        case Refused() | ResourceMissing() as refused:
            return Pause(Reason.BUSY, f"not believed yet: {refused}")
        case _:
            return DeleteDeployment(deployment.arn)


def _objection(request: Delete, facts: DeleteFacts, seen: Found) -> Outcome | None:
    """Return how the request ends where it is not to be done; None where it is."""
    if _is_reused(request, seen.slipway_tags):
        return reused(request.request_id, seen.deployment)
    expires = seen.slipway_tags.expires
    if request.if_expired and (expires is None or expires > facts.now):
        text = f"the tag {EXPIRES_TAG} of {seen.deployment.name!r} names no time that has passed; it is kept"
        return Outcome(OutcomeKind.FAILED, Reason.NOT_EXPIRED, text, seen.deployment)
    return None


def _is_reused(request: Delete, slipway_tags: DeploymentTags) -> bool:
    """Return whether the deployment was made, or last updated, under the id of this request: for another payload."""
    by = slipway_tags.update.by if slipway_tags.update is not None else ""
    return slipway_tags.request == request.request_id or is_reused(by, correlation(request.request_id, request.owner))


def _on_answer(facts: DeleteFacts) -> Step:
    match facts.attempt:
        case None | DeleteSent() | Refused() | ResourceMissing():
            return Observe()
        case Conflicting() as failed:
            return Pause(Reason.BUSY, f"it is being created or updated: {failed}")
        case failed:
            return Pause(reason_for(failed), str(failed))
