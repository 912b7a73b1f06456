"""Every decision in the life of an update request: one pure function from the known facts to the next step.

    Observe ──not found──▶ Pause ──▶ Observe; not found several times ──▶ Finish: Failed, DeploymentNotFound
     ▲ └─found──┬─ no Slipway tags, and not forced; Failed ────▶ Finish: Failed
     │          ├─ updated or created for a later request ─────▶ Finish: Failed, Superseded
     │          ├─ Creating; being updated to another model ───▶ Pause (Busy) ──▶ Observe
     │          ├─ being updated to the requested model ───────▶ Poll, until it is not ──▶ Observe
     │          ├─ serves the requested model ─────────────────▶ Finish: Updated; before it RunSmokeTest, if requested
     │          ├─ and the test failed, with rollback ─────────▶ SendUpdate to the former model ──▶ Finish: RolledBack
     │          ├─ own update failed ──┬─ with rollback ───────▶ Finish: RolledBack, since the former model is still served
     │          │                      └─ else ────────────────▶ Finish: Failed, UpdateFailed
     │          ├─ no update tag of this request ──▶ WriteUpdateTag, with the model that it serves ──▶ Observe
     │          └─ tagged ──▶ SendUpdate ──┬─ accepted ──▶ Poll
     │                                     ├─ Refused, ResourceMissing ──▶ GetModel ──▶ Finish: with the service's error
     └─────────────────────────────────────┴─ any other failure ──▶ Pause ──▶ Observe

Rules:
1. `Updated` is reported when Bedrock serves the requested model. `updateDetails` may describe an earlier update: they are
   believed only if they name the requested model and cannot be older than this request's update.
2. The update tag, with this request and the model served so far, is written before the first update: only through it does a
   successor know that the deployment was updated, and which model to return to.
3. Of two updates the later request wins: an earlier request does not undo it.
4. A deployment that Slipway did not create is updated only if the request and the settings both allow it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from slipway.core.bedrock import Deployment, ModelState, Status, UpdateDetails, UpdateStatus
from slipway.core.call_errors import CallFailed, Conflicting, Refused, ResourceMissing
from slipway.core.lifecycle.deploy import is_early
from slipway.core.lifecycle.outcomes import Outcome, OutcomeKind, Reason, SmokeTestResult
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
    recorded_result,
    reused,
)
from slipway.core.lifecycle.tags import UpdateTag, former_key, is_same_second, update_key
from slipway.core.requests.models import Update
from slipway.core.requests.ownership import correlation, is_reused

UNSEEN_TO_BELIEVE: Final = 5
"""Get may show an accepted update late. After this many observations without it the update is sent again; after as many more,
what Get shows counts as its result."""
REFUSALS_TO_BELIEVE: Final = UNSEEN_TO_BELIEVE
"""An update whose response was lost is sent again and refused because it is under way, which Get may show late."""


@dataclass(frozen=True, slots=True)
class UpdateFacts:
    """Everything known of one update request. Each `after_…` method returns the facts that follow from one result."""

    received: float
    """When the request was first received, in seconds since the epoch."""
    in_doubt: bool = False
    """The request was delivered before, and may have been done."""
    is_receipt_proven: bool = False
    """`received` comes from SQS or from Slipway: no other sender can have chosen it."""
    may_force: bool = False
    """The settings allow a request to update a deployment that Slipway did not create."""
    observation: Observation = None
    attempt: DeleteSent | CallFailed | None = None
    sent_to: str | None = None
    """The model of the last update that this delivery sent and Bedrock accepted."""
    sends: int = 0
    """How often that update was sent."""
    has_begun: bool = False
    """Get has shown that update since it was last sent."""
    model: ModelState | None = None
    smoke_result: SmokeTestResult | None = None
    unseen: int = 0
    """Pauses since that update was sent in which Get did not show it."""
    absences: int = 0
    """Observations in a row that did not find the deployment."""
    times_found: int = 0
    """Observations in a row that found a deployment, counted up to `ABSENCES_TO_BELIEVE`: only then is a tag that they do not
    show believed to be absent, like a deployment."""
    may_be_tagged: bool = False
    """The update tag was written, or may have been: that Get does not show it is not believed at once."""
    refusals: int = 0
    failures: int = 0
    """Waits in a row without progress: the exponent of the backoff."""

    def after_observation(self, observation: Found | NotFound) -> UpdateFacts:
        """Return the facts after Get and, if it found a deployment, ListTags."""
        if isinstance(observation, NotFound):
            return replace(self, observation=observation, absences=self.absences + 1)
        begun = self.has_begun or (self.sent_to is not None and _is_updating(observation.deployment, self.sent_to))
        times_found = min(self.times_found + 1, ABSENCES_TO_BELIEVE)
        return replace(self, observation=observation, absences=0, times_found=times_found, has_begun=begun)

    def after_poll(self, deployment: Deployment | None) -> UpdateFacts:
        """Return the facts after Get during an update. If the update is no longer under way, observe again with tags."""
        if (
            isinstance(self.observation, Found)
            and deployment is not None
            and deployment.update == self.observation.deployment.update
        ):
            return replace(self, observation=replace(self.observation, deployment=deployment), has_begun=True, failures=0)
        return replace(self, observation=None, failures=0)

    def after_update_tag(self) -> UpdateFacts:
        """Return the facts after the update tag was written, or may have been. It makes every observation stale."""
        return replace(self, observation=None, may_be_tagged=True, times_found=0)

    def after_update(self, model_arn: str, attempt: DeleteSent | CallFailed) -> UpdateFacts:
        """Return the facts after an update call. It makes every observation stale."""
        facts = replace(self, observation=None, attempt=attempt, model=None)
        if isinstance(attempt, DeleteSent):
            sends = self.sends + 1 if model_arn == self.sent_to else 1
            return replace(facts, sent_to=model_arn, sends=sends, has_begun=False, unseen=0, failures=0)
        refused = isinstance(attempt, Refused | ResourceMissing)
        return replace(facts, refusals=self.refusals + refused, failures=self.failures + 1)

    def after_test(self, smoke_result: SmokeTestResult) -> UpdateFacts:
        """Return the facts after the smoke test."""
        return replace(self, smoke_result=smoke_result, observation=None)

    def after_model(self, model: ModelState) -> UpdateFacts:
        """Return the facts after GetCustomModel. A model in creation explains all refusals so far."""
        return replace(self, model=model, refusals=0 if model is ModelState.CREATING else self.refusals)

    def after_pause(self) -> UpdateFacts:
        """Return the facts after a pause: observe and act again. The counts stay."""
        unseen = self.unseen + (self.sent_to is not None)
        return replace(self, observation=None, attempt=None, model=None, unseen=unseen, failures=self.failures + 1)

    def after_failure(self) -> UpdateFacts:
        """Return the facts after a read failed."""
        return replace(self, failures=self.failures + 1)


@dataclass(frozen=True, slots=True)
class WriteUpdateTag:
    """Write a tag on the deployment with the request of the update and the model served before it."""

    arn: str
    tag: UpdateTag


@dataclass(frozen=True, slots=True)
class SendUpdate:
    """Update the deployment to a model."""

    arn: str
    model_arn: str


Step = Observe | WriteUpdateTag | SendUpdate | Poll | RunSmokeTest | GetModel | Pause | Finish


def decide(request: Update, facts: UpdateFacts) -> Step:
    """Return the next step of an update request. Total: every combination of facts has exactly one step."""
    match facts.observation:
        case NotFound():
            return _on_absence(request, facts)
        case Found() as found:
            step = _on_existing(request, facts, found)
            if isinstance(step, Finish) and _is_of_former_version(request, facts, found.slipway_tags.update):
                return Finish(replace(step.outcome, is_of_former_version=True))
            return step
        case None:
            return _on_answer(facts)


def _on_absence(request: Update, facts: UpdateFacts) -> Step:
    text = f"{request.name} is not found"
    if facts.absences < ABSENCES_TO_BELIEVE:
        return Pause(Reason.DEPLOYMENT_MISSING, f"{text}; it may have just been created")
    return Finish(Outcome(OutcomeKind.FAILED, Reason.DEPLOYMENT_NOT_FOUND, f"{text}; there is nothing to update"))


def _on_answer(facts: UpdateFacts) -> Step:
    match facts.attempt:
        case None | DeleteSent() | Refused() | ResourceMissing():
            return Observe()
        case Conflicting() as failed:
            return Pause(Reason.BUSY, str(failed))
        case failed:
            return Pause(reason_for(failed), str(failed))


def _on_existing(request: Update, facts: UpdateFacts, found: Found) -> Step:
    deployment, tag = found.deployment, found.slipway_tags.update
    is_former_version = _is_of_former_version(request, facts, tag)
    is_tagged = tag is not None and (is_former_version or tag.key == update_key(request))
    if found.slipway_tags.request is None and facts.times_found < ABSENCES_TO_BELIEVE:
        return Pause(Reason.DEPLOYMENT_MISSING, f"{deployment.name!r} shows no tags; it may have just been created")
    if found.slipway_tags.request is None and (
        refusal := not_created_by_slipway(deployment, is_forced=request.force, may_force=facts.may_force)
    ):
        return Finish(refusal)
    if not is_tagged and not facts.may_be_tagged and _is_reused(request, found):
        return Finish(reused(request.request_id, deployment))
    later_tag = tag if tag is not None and not is_tagged and tag.is_later_than(facts.received) else None
    if later_tag or (facts.in_doubt and found.slipway_tags.is_later_than(facts.received)):
        verb = "updated" if later_tag else "created"
        text = f"{deployment.name!r} was {verb} for a later request; it was not changed"
        return Finish(Outcome(OutcomeKind.FAILED, Reason.SUPERSEDED, text, deployment))
    match deployment.status:
        case Status.FAILED:
            text = f"{deployment.name!r} has status Failed: {deployment.failure_message or 'Bedrock gave no failure message'}"
            return Finish(Outcome(OutcomeKind.FAILED, Reason.DEPLOYMENT_FAILED, text, deployment))
        case Status.CREATING | Status.UNKNOWN:
            return Pause(Reason.BUSY, f"{deployment.arn} is {deployment.status_text}")
        case Status.ACTIVE:
            if not is_tagged and (facts.may_be_tagged or facts.in_doubt) and facts.times_found < ABSENCES_TO_BELIEVE:
                return Pause(Reason.UPDATING, f"{deployment.arn} may not show the tag of this update yet")
            smoke_result = facts.smoke_result or recorded_result(
                found.slipway_tags, request, is_former_version=is_former_version
            )
            if (
                is_tagged
                and facts.in_doubt
                and request.smoke_test
                and smoke_result is None
                and facts.times_found < ABSENCES_TO_BELIEVE
            ):
                return Pause(Reason.SMOKE_TEST, "the tag with the result of an earlier smoke test may not be shown yet")
            return _on_active(request, facts, deployment, tag if is_tagged else None, smoke_result)


def _is_of_former_version(request: Update, facts: UpdateFacts, tag: UpdateTag | None) -> bool:
    """Return whether a version without owner tags wrote the update tag for this same request."""
    if tag is None or tag.by or not facts.is_receipt_proven or tag.key != former_key(request):
        return False
    return is_same_second(tag.received, facts.received)


def _is_reused(request: Update, found: Found) -> bool:
    """Return whether another payload under this `requestId` created or last updated the deployment."""
    by = found.slipway_tags.update.by if found.slipway_tags.update is not None else ""
    return found.slipway_tags.request == request.request_id or is_reused(by, correlation(request.request_id, request.owner))


def _on_active(
    request: Update, facts: UpdateFacts, deployment: Deployment, tag: UpdateTag | None, smoke_result: SmokeTestResult | None
) -> Step:
    update = deployment.update
    former = tag.former if tag else None
    if update is not None and update.status in {UpdateStatus.UPDATING, UpdateStatus.UNKNOWN}:
        if update.model_arn == request.model_arn or (tag and update.model_arn == former):
            return Poll(Reason.UPDATING, f"{deployment.arn} is being updated to {update.model_arn}")
        return Pause(Reason.BUSY, f"{deployment.arn} is being updated to {update.model_arn} by another request")
    if tag is not None and tag.former and request.rollback and _is_condemned(request, smoke_result):
        return _turn_back(facts, deployment, tag.former, smoke_result)
    if deployment.model_arn == request.model_arn:
        updated = Outcome(OutcomeKind.UPDATED, deployment=deployment, adopted=tag is None, former=former, smoke=smoke_result)
        return _on_success(request, updated, smoke_result)
    if tag is None:
        had_failed_update = update is not None and update.model_arn == request.model_arn
        by = correlation(request.request_id, request.owner)
        fresh = UpdateTag(update_key(request), facts.received, deployment.model_arn, had_failed_update, by)
        return WriteUpdateTag(deployment.arn, fresh)
    if _has_failed(request, facts, deployment, tag):
        return _on_failure(request, deployment, tag)
    return _send(facts, deployment, request.model_arn)


def _on_success(request: Update, outcome: Outcome, smoke_result: SmokeTestResult | None) -> Step:
    """Return the next step if the requested model is served: finish, or run the smoke test first."""
    if request.smoke_test is None or outcome.deployment is None:
        return Finish(replace(outcome, smoke=None))
    if smoke_result is None:
        return RunSmokeTest(outcome.deployment.arn)
    if not _is_condemned(request, smoke_result):
        return Finish(outcome)
    text = f"{request.model_arn} is served, and its smoke test failed: {smoke_result.text}"
    if request.rollback:
        text += "; the model served before it is not known"
    return Finish(replace(outcome, kind=OutcomeKind.FAILED, reason=Reason.SMOKE_TEST_FAILED, message=text))


def _is_condemned(request: Update, smoke_result: SmokeTestResult | None) -> bool:
    """Return whether the smoke test failed and gates the outcome."""
    return request.smoke_test is not None and request.smoke_test.gate and smoke_result is not None and not smoke_result.passed


def _turn_back(facts: UpdateFacts, deployment: Deployment, former: str, smoke_result: SmokeTestResult | None) -> Step:
    cause = f"the smoke test failed: {smoke_result.text if smoke_result else ''}"
    if deployment.model_arn == former:
        text = f"{cause}; the former model, {former}, is served again"
        return Finish(
            Outcome(OutcomeKind.ROLLED_BACK, Reason.SMOKE_TEST_FAILED, text, deployment, former=former, smoke=smoke_result)
        )
    if deployment.update == UpdateDetails(former, UpdateStatus.FAILED) and _has_ended(facts, former):
        text = f"{cause}; the update back to {former} failed too: {deployment.model_arn} is served"
        return Finish(Outcome(OutcomeKind.FAILED, Reason.ROLLBACK_FAILED, text, deployment, former=former, smoke=smoke_result))
    return _send(facts, deployment, former)


def _has_failed(request: Update, facts: UpdateFacts, deployment: Deployment, tag: UpdateTag) -> bool:
    """Return whether this request's own update failed, not an earlier one to the same model."""
    update = deployment.update
    if update is None or update.model_arn != request.model_arn or update.status is not UpdateStatus.FAILED:
        return False
    return (not tag.had_failed_update and facts.sends <= 1) or _has_ended(facts, request.model_arn)


def _has_ended(facts: UpdateFacts, model_arn: str) -> bool:
    """Return whether a failure that Get shows is of the update that was sent last."""
    is_shown_late_no_more = facts.sends > 1 and facts.unseen >= UNSEEN_TO_BELIEVE
    return facts.sent_to == model_arn and (facts.has_begun or is_shown_late_no_more)


def _on_failure(request: Update, deployment: Deployment, tag: UpdateTag) -> Step:
    failed = f"the update to {request.model_arn} failed; Bedrock gives no reason"
    if request.rollback and tag.former in {None, deployment.model_arn}:
        text = f"{failed}; the former model, {deployment.model_arn}, is served as before"
        return Finish(Outcome(OutcomeKind.ROLLED_BACK, Reason.UPDATE_FAILED, text, deployment, former=tag.former))
    text = f"{failed}; {deployment.model_arn} is served"
    return Finish(Outcome(OutcomeKind.FAILED, Reason.UPDATE_FAILED, text, deployment, former=tag.former))


def _send(facts: UpdateFacts, deployment: Deployment, model_arn: str) -> Step:
    """Return the update call; after a refused or unseen one, the pause, model check or end that comes first."""
    if facts.sent_to == model_arn and facts.unseen < UNSEEN_TO_BELIEVE:
        return Pause(Reason.UPDATING, f"{deployment.arn} accepted the update to {model_arn} and does not show it yet")
    if not isinstance(facts.attempt, Refused | ResourceMissing):
        return SendUpdate(deployment.arn, model_arn)
    text = str(facts.attempt)
    match facts.model:
        case None:
            return GetModel(model_arn)
        case ModelState.MISSING:
            return _verdict(Reason.MODEL_NOT_FOUND, f"modelArn {model_arn} does not exist", deployment)
        case ModelState.FAILED:
            return _verdict(Reason.MODEL_FAILED, f"the model {model_arn} has status Failed", deployment)
        case model if is_early(model, facts.attempt):
            return Pause(Reason.MODEL_NOT_ACTIVE, f"{model_arn} is not Active yet: {text}")
        case _ if facts.refusals >= REFUSALS_TO_BELIEVE:
            return _verdict(Reason.INVALID_REQUEST, text, deployment)
        case _:
            return Pause(Reason.BUSY, f"the update was refused; trying again: {text}")


def _verdict(reason: Reason, text: str, deployment: Deployment) -> Finish:
    return Finish(Outcome(OutcomeKind.FAILED, reason, text, deployment))


def _is_updating(deployment: Deployment, model_arn: str) -> bool:
    return deployment.update == UpdateDetails(model_arn, UpdateStatus.UPDATING)
