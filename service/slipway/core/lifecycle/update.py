"""Every choice in the life of an update request: one pure function from what is known to the next step.

    Look ──absent──▶ Pause ──▶ Look; absent again and again ──▶ Ended: Failed, DeploymentNotFound
     ▲ └─exists─┬─ not ours, and not forced; Failed ───────────▶ Ended: Failed
     │          ├─ updated, or made, for what was asked later ──▶ Ended: Failed, Superseded
     │          ├─ Creating; being updated for somebody else ───▶ Pause (Busy) ──▶ Look
     │          ├─ being updated to the wanted model ───────────▶ Poll, until it is not ──▶ Look
     │          ├─ serves the wanted model ─────────────────────▶ Ended: Updated; after the smoke TryOut, where there is one
     │          ├─ and that failed, with rollback ──────────────▶ Update, to the former ──▶ Ended: RolledBack
     │          ├─ ours, UpdateFailed ─┬─ rollback was asked for ▶ Ended: RolledBack, since the former is still served
     │          │                      └─ else ─────────────────▶ Ended: Failed, UpdateFailed
     │          ├─ not marked as ours ──▶ Mark it, with the model that it serves ──▶ Look
     │          └─ marked ──▶ Update ──┬─ applied ──▶ Poll
     │                                 ├─ Refused, Missing, and again ──▶ AskModel ──▶ Ended: the service's verdict
     └─────────────────────────────────┴─ anything else ──▶ Pause ──▶ Look

Rules:
1. `Updated` is said when Bedrock serves the wanted model; `updateDetails` may be left over from an earlier update, and
   are believed only when they are about the wanted model, and cannot have been there before this request's update.
2. Before the first update the deployment is marked with this request and the model that it served: a successor, and only
   so, knows that it was updated, and what to return to.
3. Of two updates the one that was asked for later wins: what came before does not undo it.
4. What Slipway did not make is touched only when the request and the settings both say so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from slipway.core.bedrock.deployments import Deployment, ModelState, Status, UpdateDetails, UpdateStatus
from slipway.core.bedrock.errors import CallFailed, Conflicting, Refused, ResourceMissing
from slipway.core.lifecycle.deploy import is_early
from slipway.core.lifecycle.outcomes import Outcome, OutcomeKind, Reason, SmokeTestResult
from slipway.core.lifecycle.smoke_test import recorded_result
from slipway.core.lifecycle.steps import (
    ABSENCES_TO_BELIEVE,
    DeleteSent,
    Finish,
    Found,
    GetModel,
    NotFound,
    Observation,
    Observe,
    Pause,
    Poll,
    RunSmokeTest,
    not_created_by_slipway,
    reason_for,
    reused,
)
from slipway.core.lifecycle.tags import UpdateTag, former_key, is_same_second, update_key
from slipway.core.requests.models import Update
from slipway.core.requests.ownership import correlation, is_reused

UNSEEN_TO_BELIEVE: Final = 5
"""Get may not show for a while an update that was taken on; after so many looks it is sent again, and after as many more what
Get shows is taken for the answer to it."""
REFUSALS_TO_BELIEVE: Final = UNSEEN_TO_BELIEVE
"""An update whose answer was lost is sent again, and refused because it is under way, which Get may not show for a while."""


@dataclass(frozen=True, slots=True)
class UpdateFacts:
    """All that is known of one request here and now. Each `after_…` answers the facts that follow from an answer."""

    received: float
    """When the request was first received, in seconds since the epoch."""
    in_doubt: bool = False
    is_receipt_proven: bool = False
    """`received` is SQS's own word, or Slipway's: no other sender can have chosen it."""
    may_force: bool = False
    """The settings let a request touch what Slipway did not make."""
    observation: Observation = None
    attempt: DeleteSent | CallFailed | None = None
    sent_to: str | None = None
    """The model of the last update that this delivery sent and Bedrock took on."""
    sends: int = 0
    """How often it was sent."""
    has_begun: bool = False
    """Since the last time it was seen under way."""
    model: ModelState | None = None
    smoke_result: SmokeTestResult | None = None
    """What came of the smoke test."""
    unseen: int = 0
    """Waits, since it was sent, in which Get did not show it."""
    absences: int = 0
    times_found: int = 0
    """Looks in a row that showed a deployment, as far as they are counted: a tag that is not shown is believed to be absent
    after `ABSENCES_TO_BELIEVE`, like a deployment."""
    may_be_tagged: bool = False
    """The mark was written, by this delivery or perhaps by an earlier owner: that it is not shown is not believed at once."""
    refusals: int = 0
    failures: int = 0
    """Waits in a row without progress: what backs off."""

    def after_observation(self, observation: Found | NotFound) -> UpdateFacts:
        """What is known after Get and, where it found something, its tags."""
        if isinstance(observation, NotFound):
            return replace(self, observation=observation, absences=self.absences + 1)
        begun = self.has_begun or (self.sent_to is not None and _is_updating(observation.deployment, self.sent_to))
        times_found = min(self.times_found + 1, ABSENCES_TO_BELIEVE)
        return replace(self, observation=observation, absences=0, times_found=times_found, has_begun=begun)

    def after_poll(self, deployment: Deployment | None) -> UpdateFacts:
        """What is known after a Get alone, while an update is under way: when it no longer is, look at everything."""
        if (
            isinstance(self.observation, Found)
            and deployment is not None
            and deployment.update == self.observation.deployment.update
        ):
            return replace(self, observation=replace(self.observation, deployment=deployment), has_begun=True, failures=0)
        return replace(self, observation=None, failures=0)

    def after_update_tag(self) -> UpdateFacts:
        """The deployment is marked, or may be: every look is stale now."""
        return replace(self, observation=None, may_be_tagged=True, times_found=0)

    def after_update(self, to: str, attempt: DeleteSent | CallFailed) -> UpdateFacts:
        """What is known after an update: every look is stale now."""
        facts = replace(self, observation=None, attempt=attempt, model=None)
        if isinstance(attempt, DeleteSent):
            sends = self.sends + 1 if to == self.sent_to else 1
            return replace(facts, sent_to=to, sends=sends, has_begun=False, unseen=0, failures=0)
        refused = isinstance(attempt, Refused | ResourceMissing)
        return replace(facts, refusals=self.refusals + refused, failures=self.failures + 1)

    def after_test(self, smoke_result: SmokeTestResult) -> UpdateFacts:
        """What is known after the smoke test."""
        return replace(self, smoke_result=smoke_result, observation=None)

    def after_model(self, model: ModelState) -> UpdateFacts:
        """What is known after GetCustomModel. As long as the model is in creation, that is what was refused."""
        return replace(self, model=model, refusals=0 if model is ModelState.CREATING else self.refusals)

    def after_pause(self) -> UpdateFacts:
        """Time has passed: look and try afresh, remembering how often."""
        unseen = self.unseen + (self.sent_to is not None)
        return replace(self, observation=None, attempt=None, model=None, unseen=unseen, failures=self.failures + 1)

    def after_failure(self) -> UpdateFacts:
        """A question could not be answered: nothing new is known, but it has been tried."""
        return replace(self, failures=self.failures + 1)


@dataclass(frozen=True, slots=True)
class WriteUpdateTag:
    """Write on the deployment, for whoever may come after, whose update this is and what was served before."""

    arn: str
    mark: UpdateTag


@dataclass(frozen=True, slots=True)
class SendUpdate:
    """Update the deployment to this model."""

    arn: str
    model_arn: str


Step = Observe | WriteUpdateTag | SendUpdate | Poll | RunSmokeTest | GetModel | Pause | Finish


def decide(request: Update, facts: UpdateFacts) -> Step:
    """Say what is next for an update request. Total: every combination of facts has exactly one answer."""
    match facts.observation:
        case NotFound():
            return _on_absence(request, facts)
        case Found() as seen:
            step = _on_existing(request, facts, seen)
            if isinstance(step, Finish) and _is_of_former_version(request, facts, seen.slipway_tags.update):
                return Finish(replace(step.outcome, is_of_former_version=True))
            return step
        case None:
            return _on_answer(facts)


def _on_absence(request: Update, facts: UpdateFacts) -> Step:
    text = f"{request.name} is not found"
    if facts.absences < ABSENCES_TO_BELIEVE:
        return Pause(Reason.DEPLOYMENT_MISSING, f"{text}; it may have been made a moment ago")
    return Finish(Outcome(OutcomeKind.FAILED, Reason.DEPLOYMENT_NOT_FOUND, f"{text}; there is nothing to update"))


def _on_answer(facts: UpdateFacts) -> Step:
    match facts.attempt:
        case None | DeleteSent() | Refused() | ResourceMissing():
            return Observe()
        case Conflicting() as failed:
            return Pause(Reason.BUSY, str(failed))
        case failed:
            return Pause(reason_for(failed), str(failed))


def _on_existing(request: Update, facts: UpdateFacts, seen: Found) -> Step:
    deployment, mark = seen.deployment, seen.slipway_tags.update
    is_former = _is_of_former_version(request, facts, mark)
    is_marked = mark is not None and (is_former or mark.key == update_key(request))
    if seen.slipway_tags.request is None and facts.times_found < ABSENCES_TO_BELIEVE:
        return Pause(Reason.DEPLOYMENT_MISSING, f"{deployment.name!r} shows no tags; it may have been made a moment ago")
    if seen.slipway_tags.request is None and (
        others := not_created_by_slipway(deployment, is_forced=request.force, may_force=facts.may_force)
    ):
        return Finish(others)
    if not is_marked and not facts.may_be_tagged and _is_reused(request, seen):
        return Finish(reused(request.request_id, deployment))
    later = mark if mark is not None and not is_marked and mark.is_later_than(facts.received) else None
    if later or (facts.in_doubt and seen.slipway_tags.is_later_than(facts.received)):
        text = f"{deployment.name!r} was {'updated' if later else 'made'} for a request that came after this one; it is kept"
        return Finish(Outcome(OutcomeKind.FAILED, Reason.SUPERSEDED, text, deployment))
    match deployment.status:
        case Status.FAILED:
            text = f"{deployment.name!r} itself is Failed: {deployment.failure_message or 'Bedrock gave no failure message'}"
            return Finish(Outcome(OutcomeKind.FAILED, Reason.DEPLOYMENT_FAILED, text, deployment))
        case Status.CREATING | Status.UNKNOWN:
            return Pause(Reason.BUSY, f"{deployment.arn} is {deployment.status_text}")
        case Status.ACTIVE:
            if not is_marked and (facts.may_be_tagged or facts.in_doubt) and facts.times_found < ABSENCES_TO_BELIEVE:
                return Pause(Reason.UPDATING, f"{deployment.arn} does not show yet that it is marked for this update")
            smoke_result = facts.smoke_result or recorded_result(seen.slipway_tags, request, is_former=is_former)
            if (
                is_marked
                and facts.in_doubt
                and request.smoke_test
                and smoke_result is None
                and facts.times_found < ABSENCES_TO_BELIEVE
            ):
                return Pause(Reason.SMOKE_TEST, "the verdict of an earlier smoke test may not be shown yet")
            return _on_active(request, facts, deployment, mark if is_marked else None, smoke_result)


def _is_of_former_version(request: Update, facts: UpdateFacts, mark: UpdateTag | None) -> bool:
    """Return whether a version that knew no owners marked the deployment for this same request."""
    if mark is None or mark.by or not facts.is_receipt_proven or mark.key != former_key(request):
        return False
    return is_same_second(mark.received, facts.received)


def _is_reused(request: Update, seen: Found) -> bool:
    """Return whether the deployment was made, or last updated, under the id of this request: for another payload."""
    by = seen.slipway_tags.update.by if seen.slipway_tags.update is not None else ""
    return seen.slipway_tags.request == request.request_id or is_reused(by, correlation(request.request_id, request.owner))


def _on_active(
    request: Update, facts: UpdateFacts, deployment: Deployment, mark: UpdateTag | None, smoke_result: SmokeTestResult | None
) -> Step:
    update = deployment.update
    former = mark.former if mark else None
    if update is not None and update.status in {UpdateStatus.UPDATING, UpdateStatus.UNKNOWN}:
        if update.model_arn == request.model_arn or (mark and update.model_arn == former):
            return Poll(Reason.UPDATING, f"{deployment.arn} is being updated to {update.model_arn}")
        return Pause(Reason.BUSY, f"{deployment.arn} is being updated to {update.model_arn}, for somebody else")
    if mark is not None and mark.former and request.rollback and _is_condemned(request, smoke_result):
        return _turn_back(facts, deployment, mark.former, smoke_result)
    if deployment.model_arn == request.model_arn:
        updated = Outcome(OutcomeKind.UPDATED, deployment=deployment, adopted=mark is None, former=former, smoke=smoke_result)
        return _on_success(request, updated, smoke_result)
    if mark is None:
        is_failed_already = update is not None and update.model_arn == request.model_arn
        by = correlation(request.request_id, request.owner)
        fresh = UpdateTag(update_key(request), facts.received, deployment.model_arn, is_failed_already, by)
        return WriteUpdateTag(deployment.arn, fresh)
    if _has_failed(request, facts, deployment, mark):
        return _on_failure(request, deployment, mark)
    return _send(facts, deployment, request.model_arn)


def _on_success(request: Update, updated: Outcome, smoke_result: SmokeTestResult | None) -> Step:
    """Say what is next when the wanted model is served: that is the end, unless it is to be tested first."""
    if request.smoke_test is None or updated.deployment is None:
        return Finish(replace(updated, smoke=None))
    if smoke_result is None:
        return RunSmokeTest(updated.deployment.arn)
    if not _is_condemned(request, smoke_result):
        return Finish(updated)
    text = f"{request.model_arn} is served, and its smoke test failed: {smoke_result.text}"
    if request.rollback:
        text += "; what was served before it is not known"
    return Finish(replace(updated, kind=OutcomeKind.FAILED, reason=Reason.SMOKE_TEST_FAILED, message=text))


def _is_condemned(request: Update, smoke_result: SmokeTestResult | None) -> bool:
    """Whether the smoke test says that the new model is not to be served."""
    return request.smoke_test is not None and request.smoke_test.gate and smoke_result is not None and not smoke_result.passed


def _turn_back(facts: UpdateFacts, deployment: Deployment, former: str, smoke_result: SmokeTestResult | None) -> Step:
    why = f"the smoke test failed: {smoke_result.text if smoke_result else ''}"
    if deployment.model_arn == former:
        text = f"{why}; the former model, {former}, is served again"
        return Finish(
            Outcome(OutcomeKind.ROLLED_BACK, Reason.SMOKE_TEST_FAILED, text, deployment, former=former, smoke=smoke_result)
        )
    if deployment.update == UpdateDetails(former, UpdateStatus.FAILED) and _has_ended(facts, former):
        text = f"{why}; and the update back to {former} failed: {deployment.model_arn} is served"
        return Finish(Outcome(OutcomeKind.FAILED, Reason.ROLLBACK_FAILED, text, deployment, former=former, smoke=smoke_result))
    return _send(facts, deployment, former)


def _has_failed(request: Update, facts: UpdateFacts, deployment: Deployment, mark: UpdateTag) -> bool:
    """Whether Bedrock says that this request's own update has failed, and not an earlier one to the same model."""
    update = deployment.update
    if update is None or update.model_arn != request.model_arn or update.status is not UpdateStatus.FAILED:
        return False
    return (not mark.had_failed_update and facts.sends <= 1) or _has_ended(facts, request.model_arn)


def _has_ended(facts: UpdateFacts, to: str) -> bool:
    """Whether a failure that Get shows is of the update that was sent last, and of none before it."""
    is_all_there_is = facts.sends > 1 and facts.unseen >= UNSEEN_TO_BELIEVE
    return facts.sent_to == to and (facts.has_begun or is_all_there_is)


def _on_failure(request: Update, deployment: Deployment, mark: UpdateTag) -> Step:
    failed = f"the update to {request.model_arn} failed; Bedrock gives no reason"
    if request.rollback and mark.former in {None, deployment.model_arn}:
        text = f"{failed}; the former model, {deployment.model_arn}, is served as before"
        return Finish(Outcome(OutcomeKind.ROLLED_BACK, Reason.UPDATE_FAILED, text, deployment, former=mark.former))
    text = f"{failed}; {deployment.model_arn} is served"
    return Finish(Outcome(OutcomeKind.FAILED, Reason.UPDATE_FAILED, text, deployment, former=mark.former))


def _send(facts: UpdateFacts, deployment: Deployment, to: str) -> Step:
    """Update, unless that has been tried and something is to be waited for, or asked, first."""
    if facts.sent_to == to and facts.unseen < UNSEEN_TO_BELIEVE:
        return Pause(Reason.UPDATING, f"{deployment.arn} was told to serve {to}, and does not show it yet")
    if not isinstance(facts.attempt, Refused | ResourceMissing):
        return SendUpdate(deployment.arn, to)
    text = str(facts.attempt)
    match facts.model:
        case None:
            return GetModel(to)
        case ModelState.MISSING:
            return _verdict(Reason.MODEL_NOT_FOUND, f"modelArn {to} does not exist", deployment)
        case ModelState.FAILED:
            return _verdict(Reason.MODEL_FAILED, f"the model {to} itself has Failed", deployment)
        case model if is_early(model, facts.attempt):
            return Pause(Reason.MODEL_NOT_ACTIVE, f"{to} is not Active yet: {text}")
        case _ if facts.refusals >= REFUSALS_TO_BELIEVE:
            return _verdict(Reason.INVALID_REQUEST, text, deployment)
        case _:
            return Pause(Reason.BUSY, f"not believed yet: {text}")


def _verdict(reason: Reason, text: str, deployment: Deployment) -> Finish:
    return Finish(Outcome(OutcomeKind.FAILED, reason, text, deployment))


def _is_updating(deployment: Deployment, to: str) -> bool:
    return deployment.update == UpdateDetails(to, UpdateStatus.UPDATING)
